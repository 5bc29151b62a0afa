/** Puts the page together: who knows whom, and which key does what. */

import { CopyDialog } from "./copy_dialog.js";
import { Divider } from "./divider.js";
import { Editor } from "./editor.js";
import { button, element, part } from "./elements.js";
import { Keyboard } from "./keyboard.js";
import { KeyboardCursor } from "./keyboard_cursor.js";
import { KeyField } from "./key_field.js";
import { Notices } from "./notices.js";
import { Opening } from "./opening.js";
import { Parameters } from "./parameters.js";
import { PointerInput } from "./pointer.js";
import { Problem } from "./problem.js";
import { Results } from "./results.js";
import { RunPanel } from "./run_panel.js";
import { Service } from "./service.js";
import { Stage } from "./stage.js";
import { ToolBar } from "./tool_bar.js";
import { View } from "./view.js";
import { ZoomBar } from "./zoom_bar.js";

const service = new Service();
const notices = new Notices();
const editor = new Editor();
const stage = new Stage(element("canvas", HTMLCanvasElement), new View(), editor);
const parameters = new Parameters();
const zoomBar = new ZoomBar(stage);
const opening = new Opening(editor, notices);
const results = new Results(stage, opening, notices);
const runPanel = new RunPanel(service, stage, parameters, results, notices);
const mayDraw = () => results.showsMask && !runPanel.isRunning;
const pointer = new PointerInput(stage, mayDraw);
const divider = new Divider(stage);
const toolBar = new ToolBar(editor, notices);
const keyField = new KeyField(service, loadModels);
const help = element("help-dialog", HTMLDialogElement);

new KeyboardCursor(stage, mayDraw, (news) => notices.announce(news));
new CopyDialog(editor, parameters, service, () => toolBar.saveMask());

stage.onDraw = () => {
  divider.follow();
  zoomBar.show();
};
runPanel.onKeyNeeded = () => keyField.ask();
editor.addEventListener("picture", () => {
  part("stage").classList.add("filled");
  element("canvas", HTMLCanvasElement).focus({ preventScroll: true });
});
// Whoever takes a tool wants to see the mask again.
for (const tool of ["brush", "eraser", "rectangle", "lasso"]) {
  button(`tool-${tool}`).addEventListener("click", () => results.show("mask"));
}
button("help").addEventListener("click", () => help.showModal());
button("help-close").addEventListener("click", () => help.close());

/** @param {() => void} action on the mask, which a run in progress and the filled picture keep from being changed */
const onMask = (action) => () => {
  if (runPanel.isRunning) return;
  results.show("mask");
  action();
};

new Keyboard({
  b: onMask(() => editor.take("brush")),
  e: onMask(() => editor.take("eraser")),
  r: onMask(() => editor.take("rectangle")),
  l: onMask(() => editor.take("lasso")),
  h: () => editor.take("hand"),
  "[": () => editor.resizeBy(-1),
  "]": () => editor.resizeBy(1),
  i: onMask(() => editor.invert()),
  Delete: onMask(() => editor.clear()),
  "Ctrl+z": onMask(() => editor.undo()),
  "Ctrl+Shift+z": onMask(() => editor.redo()),
  "Ctrl+y": onMask(() => editor.redo()),
  Escape: () => editor.cancel(),
  "+": () => zoomBar.zoomBy(1),
  "=": () => zoomBar.zoomBy(1),
  "-": () => zoomBar.zoomBy(-1),
  0: () => zoomBar.fit(),
  1: () => zoomBar.zoomTo(1),
  v: () => results.show(results.showsMask ? "compare" : "mask"),
  o: () => element("picture-file", HTMLInputElement).click(),
  "?": () => help.showModal(),
  "Ctrl+Enter": () => runPanel.start(),
});

for (const [kind, isHeld] of /** @type {const} */ ([["keydown", true], ["keyup", false]])) {
  element("canvas", HTMLCanvasElement).addEventListener(kind, (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    pointer.moves = isHeld;
    part("stage").classList.toggle("moving", isHeld);
  });
}

async function loadModels() {
  try {
    const models = await service.models();
    parameters.offer(models);
    part("key-box").hidden = true;
    notices.clear();
    if (models.length === 0) notices.tell(new Error("No worker serves a model now. Start one, or try again shortly."));
  } catch (error) {
    notices.tell(error);
    if (error instanceof Problem && error.asksForKey) keyField.ask();
  }
}

await loadModels();
