// A list of any length of which only the rows in sight are in the page. Browsers cap the height of an element, so a list
// longer than that has a shorter scroll bar: its position is scaled, while the wheel and the keys still move by rows.
// Must not know: what a row is.

import { el } from "../elements.js";

const TALLEST_PX = 6_000_000;
const BEYOND = 6;
const MOST_ROWS = 90;

let lists = 0;

/**
 * @typedef {object} Rows
 * @property {string} label @property {number} rowHeight in CSS pixels
 * @property {(index: number) => HTMLElement} render makes the row at *index*
 * @property {string} [role] of the list @property {(index: number) => void} [onactivate]
 * @property {(index: number) => void} [onactive] the active row changed
 * @property {(event: KeyboardEvent, index: number) => boolean} [onkey] whether the key is dealt with
 * @property {HTMLElement} [header] stays above the rows
 */

export class VirtualList {
  /** @param {Rows} rows */
  constructor(rows) {
    this._rows = rows;
    this._id = `list-${++lists}`;
    this._count = 0;
    this._top = 0; // of the window, in pixels of the whole list
    this._placed = 0; // the scroll position that this list itself has set
    this.active = -1;
    this._layer = el("div", { class: "virtual-rows", role: "presentation" });
    this._spacer = el("div", { class: "virtual-space", role: "presentation" }, this._layer);
    this.element = el(
      "div",
      { class: "virtual-list", role: rows.role ?? "listbox", tabindex: "0", "aria-label": rows.label, id: this._id },
      rows.header,
      this._spacer,
    );
    this.element.addEventListener("scroll", () => this._scrolled(), { passive: true });
    this.element.addEventListener("wheel", (/** @type {WheelEvent} */ event) => this._wheel(event), { passive: false });
    this.element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this._key(event));
    this.element.addEventListener("click", (/** @type {MouseEvent} */ event) => this._click(event));
    this._resize = new ResizeObserver(() => this.draw());
    this._resize.observe(this.element);
  }

  /** How many rows there are. */
  get count() {
    return this._count;
  }

  set count(count) {
    this._count = count;
    this.active = Math.min(this.active, count - 1);
    this._spacer.style.height = `${Math.min(this._height, TALLEST_PX)}px`;
    this._top = Math.min(this._top, this._most);
    this.draw();
  }

  get _height() {
    return this._count * this._rows.rowHeight;
  }

  get _window() {
    return Math.max(0, this.element.clientHeight - (this._rows.header?.offsetHeight ?? 0));
  }

  get _most() {
    return Math.max(0, this._height - this._window);
  }

  get _isScaled() {
    return this._height > TALLEST_PX;
  }

  /** Pixels of the list for one pixel of the scroll bar. */
  get _scale() {
    return this._isScaled ? this._most / Math.max(1, TALLEST_PX - this._window) : 1;
  }

  /** The first row in sight, and the one after the last. @returns {[number, number]} */
  get range() {
    const first = Math.max(0, Math.floor(this._top / this._rows.rowHeight) - BEYOND);
    const wanted = Math.ceil(this._window / this._rows.rowHeight) + 2 * BEYOND + 1;
    return [first, Math.min(this._count, first + Math.min(wanted, MOST_ROWS))];
  }

  /** Make the rows in sight anew. */
  draw() {
    const [first, end] = this.range;
    const rows = [];
    for (let index = first; index < end; index++) rows.push(this._row(index));
    this._layer.replaceChildren(...rows);
    const offset = this.element.scrollTop - this._top + first * this._rows.rowHeight;
    this._layer.style.transform = `translateY(${this._isScaled ? offset : first * this._rows.rowHeight}px)`;
    if (this.active >= first && this.active < end) this.element.setAttribute("aria-activedescendant", `${this._id}-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** @param {number} index */
  _row(index) {
    const row = this._rows.render(index);
    row.id = `${this._id}-${index}`;
    row.dataset.index = String(index);
    row.classList.toggle("is-active", index === this.active);
    return row;
  }

  /** Let *index* be the active row, in sight. @param {number} index */
  activate(index) {
    if (!this._count) return;
    this.active = Math.max(0, Math.min(index, this._count - 1));
    const { rowHeight } = this._rows;
    const top = this.active * rowHeight;
    if (top < this._top) this._moveTo(top);
    else if (top + rowHeight > this._top + this._window) this._moveTo(top + rowHeight - this._window);
    else this.draw();
    this._rows.onactive?.(this.active);
  }

  /** @param {number} top */
  _moveTo(top) {
    this._top = Math.max(0, Math.min(top, this._most));
    this.element.scrollTop = this._top / this._scale;
    this._placed = this.element.scrollTop;
    this.draw();
  }

  _scrolled() {
    // What this list has set itself is exact in _top, where the scroll bar of a scaled list is not.
    if (this._isScaled && Math.abs(this.element.scrollTop - this._placed) < 1) return;
    this._top = Math.min(this.element.scrollTop * this._scale, this._most);
    this._placed = -1;
    this.draw();
  }

  /** @param {WheelEvent} event */
  _wheel(event) {
    if (!this._isScaled || event.ctrlKey) return;
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? this._rows.rowHeight : 1;
    this._moveTo(this._top + event.deltaY * unit);
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this._window / this._rows.rowHeight) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this._count, End: this._count };
    if (event.key in steps) this.activate(this.active < 0 && event.key !== "End" ? 0 : this.active + steps[event.key]);
    else if (event.key === "Enter" && this.active >= 0) this._rows.onactivate?.(this.active);
    else if (!this._rows.onkey?.(event, this.active)) return;
    event.preventDefault();
  }

  /** @param {MouseEvent} event */
  _click(event) {
    const target = /** @type {Element} */ (event.target);
    const row = /** @type {HTMLElement | null} */ (target.closest("[data-index]"));
    if (!row || !this._layer.contains(row) || target.closest("a, button, input")) return;
    this.activate(Number(row.dataset.index));
    this._rows.onactivate?.(this.active);
  }

  /** Nothing is watched any more. */
  close() {
    this._resize.disconnect();
  }
}
