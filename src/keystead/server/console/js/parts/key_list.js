// The keys as one list of any length, by position: whatever comes into sight is loaded by pages of which the last used
// are kept. Sorting is within a page, as the order of the whole is the order of the index. Must not know: the page.

import * as api from "../api.js";

const PAGE = 200;
const KEPT_PAGES = 40;

/** @typedef {"name" | "type" | "ttl" | "size"} Column */

export class KeyList {
  /** @param {{db: number, prefix: Uint8Array, onchange: () => void}} what */
  constructor({ db, prefix, onchange }) {
    this._query = { db: db || undefined, prefix, include: "type,ttl,size", limit: PAGE };
    this._onchange = onchange;
    this._abort = new AbortController();
    /** @type {Map<number, api.Item[] | null>} null: asked for */
    this._pages = new Map();
    this.count = 0;
    this.total = /** @type {number | null} */ (null);
    this.tookMs = 0;
    this.isLoaded = false;
    this.problem = /** @type {Error | null} */ (null);
    this.sort = /** @type {{column: Column, isDown: boolean}} */ ({ column: "name", isDown: false });
    this._load(0);
  }

  static get pageLength() {
    return PAGE;
  }

  /** The key at *index*; null while it is on its way. @param {number} index @returns {api.Item | null} */
  item(index) {
    const number = Math.floor(index / PAGE);
    const page = this._pages.get(number);
    if (page) {
      this._pages.delete(number); // the last used is the last of the map
      this._pages.set(number, page);
      return page[index % PAGE] ?? null;
    }
    if (page === undefined) queueMicrotask(() => this._load(number));
    return null;
  }

  /** @param {number} number */
  async _load(number) {
    if (this._pages.has(number)) return;
    this._pages.set(number, null);
    const started = performance.now();
    try {
      const page = await api.keys({ ...this._query, offset: number * PAGE }, this._abort.signal);
      this._pages.set(number, this._sorted(page.items));
      this.total = page.total;
      this.count = page.total ?? page.items.length;
      this.tookMs = performance.now() - started;
      this.isLoaded = true;
      this.problem = null;
    } catch (error) {
      if (this._abort.signal.aborted) return;
      this._pages.delete(number);
      this.problem = /** @type {Error} */ (error);
    }
    for (const oldest of this._pages.keys()) {
      if (this._pages.size <= KEPT_PAGES) break;
      this._pages.delete(oldest);
    }
    this._onchange();
  }

  /** @param {Column} column */
  sortBy(column) {
    const isDown = this.sort.column === column && !this.sort.isDown;
    this.sort = { column, isDown };
    for (const [number, page] of this._pages) if (page) this._pages.set(number, this._sorted(page));
    this._onchange();
  }

  /** @param {api.Item[]} items */
  _sorted(items) {
    const { column, isDown } = this.sort;
    const place = new Map(items.map((item) => [item, valueOf(item, column)]));
    const sorted = [...items].sort((left, right) => (place.get(left) < place.get(right) ? -1 : place.get(left) > place.get(right) ? 1 : 0));
    return isDown ? sorted.reverse() : sorted;
  }

  async reload() {
    this._pages.clear();
    await this._load(0);
  }

  close() {
    this._abort.abort();
  }
}

/** @param {api.Item} item @param {Column} column @returns {string | number} */
function valueOf(item, column) {
  if (column === "name") return typeof item.name === "string" ? item.name : atob(item.name.base64);
  if (column === "ttl") return item.ttl ?? Number.POSITIVE_INFINITY;
  return item[column] ?? "";
}
