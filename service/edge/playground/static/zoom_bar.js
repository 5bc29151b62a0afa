/** The buttons that zoom, what scale is seen, and the picture's size. */

import { button, part } from "./elements.js";

const STEP = 1.25;

export class ZoomBar {
  #scale = part("zoom-text");
  #size = part("picture-size");

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    button("zoom-in").addEventListener("click", () => this.zoomBy(1));
    button("zoom-out").addEventListener("click", () => this.zoomBy(-1));
    button("zoom-fit").addEventListener("click", () => this.fit());
    stage.editor.addEventListener("picture", () => {
      const { width = 0, height = 0 } = stage.editor.picture ?? {};
      stage.view.show(width, height);
      this.#size.textContent = `${width} × ${height}`;
    });
  }

  /** @param {number} steps nearer, or away if negative */
  zoomBy(steps) {
    this.zoomTo(this.stage.view.scale * STEP ** steps);
  }

  /** @param {number} scale CSS pixels of a pixel of the picture */
  zoomTo(scale) {
    if (!this.stage.editor.picture) return;
    this.stage.view.zoomTo(scale);
    this.stage.redraw();
  }

  fit() {
    this.stage.view.fit();
    this.stage.redraw();
  }

  /** Follows the view. */
  show() {
    this.#scale.textContent = this.stage.editor.picture ? `${Math.round(this.stage.view.scale * 100)} %` : "–";
  }
}
