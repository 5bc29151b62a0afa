/** Single keys and combinations, wherever the focus is but in fields and dialogs; single keys can be turned off. */

import { input } from "./elements.js";

const TYPED_INTO = "input:not([type=range], [type=checkbox]), select, textarea";

export class Keyboard {
  #singleKeys = input("single-keys");

  /** @param {Record<string, () => void>} actions by key: "b", "Ctrl+z", "Ctrl+Shift+z" */
  constructor(actions) {
    this.actions = actions;
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const name = nameOf(event);
    const action = this.actions[name];
    if (!action || event.isComposing || document.querySelector("dialog[open]")) return;
    if (name.length === 1 && !this.#singleKeys.checked) return;
    const isTyped = event.target instanceof Element && event.target.matches(TYPED_INTO);
    if (isTyped && name !== "Ctrl+Enter") return;
    event.preventDefault();
    action();
  }
}

/** Brackets need AltGr on many keyboards, which some systems tell as Ctrl and Alt. @param {KeyboardEvent} event */
function nameOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.getModifierState("AltGraph")) return key;
  const isCombined = event.ctrlKey || event.metaKey;
  return `${event.altKey ? "Alt+" : ""}${isCombined ? "Ctrl+" : ""}${isCombined && event.shiftKey ? "Shift+" : ""}${key}`;
}
