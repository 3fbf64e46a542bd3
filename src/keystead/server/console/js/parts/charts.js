// Charts of a few minutes: lines over time, drawn as SVG, with the figure under the pointer. Without a picture the same
// is said in words by the chart's name.

import { el, fill, svg } from "../elements.js";

const WIDTH = 320;
const HEIGHT = 96;

/**
 * @typedef {{label: string, values: (number | null)[], look?: string}} Line `look`: a class instead of the line's number
 * @typedef {object} What
 * @property {string} title @property {(value: number) => string} format @property {number} [top] at least so high
 * @property {(values: (number | null)[]) => string} [remark] what else is said of the first line
 * @property {number} [everyS] seconds from one value to the next
 */

export class Chart {
  /** @param {What} what */
  constructor(what) {
    this._what = what;
    /** @type {Line[]} */
    this._lines = [];
    this._figure = el("strong", {});
    this._legend = el("span", { class: "quiet" });
    this._drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this._drawing.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => this._point(event));
    this._drawing.addEventListener("pointerleave", () => this._tell(-1));
    this._highest = el("span", { class: "chart-top quiet" });
    this.element = el("section", { class: "chart card", "aria-label": what.title },
      el("header", {}, el("h3", {}, what.title), this._figure), el("div", { class: "chart-area" }, this._drawing, this._highest), this._legend);
  }

  /** @param {Line[]} lines of the same length, oldest first */
  show(lines) {
    this._lines = lines;
    const known = lines.flatMap(({ values }) => values).filter((value) => value !== null);
    const highest = Math.max(this._what.top ?? 0, ...known);
    const top = highest > 0 ? highest * 1.08 : 1;
    fill(this._drawing,
      [0.25, 0.5, 0.75].map((part) => svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part })),
      lines.map(({ values, look }, place) => svg("path", { class: `line ${look ?? `line-${place}`}`, d: path(values, top) })));
    fill(this._highest, known.length ? this._what.format(highest) : "");
    this._tell(-1);
  }

  /** @param {PointerEvent} event */
  _point(event) {
    const box = this._drawing.getBoundingClientRect();
    const length = this._lines[0]?.values.length ?? 0;
    this._tell(Math.round(((event.clientX - box.left) / box.width) * (length - 1)));
  }

  /** @param {number} index -1: the newest */
  _tell(index) {
    const figures = this._lines.map(({ label, values }) => {
      const value = values.at(index);
      return `${label} ${value === null || value === undefined ? "–" : this._what.format(value)}`.trim();
    });
    const ago = index < 0 ? "" : ` · ${((this._lines[0]?.values.length ?? 1) - 1 - index) * (this._what.everyS ?? 1)} s ago`;
    const isSingle = figures.length === 1;
    const remark = index < 0 && this._what.remark && this._lines[0]?.values.length ? this._what.remark(this._lines[0].values) : "";
    fill(this._figure, isSingle ? figures[0] : "");
    fill(this._legend, isSingle ? null : figures.map((figure, place) => el("span", { class: this._lines[place].look ? `key ${this._lines[place].look}` : `key-${place}` }, figure)), ago.replace(" · ", "") || remark);
    this._drawing.setAttribute("aria-label", `${this._what.title}: ${figures.join(", ")}${ago}`);
  }
}

/** @param {(number | null)[]} values @param {number} top */
function path(values, top) {
  let written = "";
  let isDrawing = false;
  values.forEach((value, index) => {
    if (value === null || value === undefined) {
      isDrawing = false;
      return;
    }
    const x = (index / Math.max(1, values.length - 1)) * WIDTH;
    const y = HEIGHT - (value / top) * (HEIGHT - 2) - 1;
    written += `${isDrawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    isDrawing = true;
  });
  return written;
}
