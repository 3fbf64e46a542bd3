// The keys as one list of any length: whatever comes into sight is loaded by pages of which the last used are kept.
// Where positions may be known a page is asked for by its position. Else, for a user who may not read every key, each page
// tells where the next one begins; those places are kept, so that a page that was let go is loaded again on the way back.
// Sorting is within a page, as the order of the whole is the order of the index. Must not know: the page.

import * as api from "../api.js";

const PAGE = 200;
const KEPT_PAGES = 40;
const MOST_EMPTY = 20; // pages in a row with nothing to show, before somebody must say that it shall go on

/**
 * @typedef {"name" | "type" | "ttl" | "size"} Column
 * Which page begins where, and how it is asked for.
 * @typedef {object} Places
 * @property {(index: number) => [number, number]} at the page of a row, and its place there
 * @property {(number: number, query: Record<string, any>, signal: AbortSignal) => Promise<api.Page>} ask
 * @property {(number: number, page: api.Page) => void} know what a page told
 * @property {number} count of the rows, the one that stands for what is not loaded yet included
 * @property {number} known of the keys @property {boolean} isAll whether there are no more than those
 */

/** @implements {Places} */
class Positions {
  constructor() {
    this.count = 0;
    this.isAll = true;
  }

  get known() {
    return this.count;
  }

  /** @param {number} index @returns {[number, number]} */
  at(index) {
    return [Math.floor(index / PAGE), index % PAGE];
  }

  /** @param {number} number @param {Record<string, any>} query @param {AbortSignal} signal */
  ask(number, query, signal) {
    return api.keys({ ...query, limit: PAGE, offset: number * PAGE }, signal);
  }

  /** @param {number} _number @param {api.Page} page */
  know(_number, { total, items }) {
    this.count = total ?? items.length;
  }
}

/** @implements {Places} */
class VisitedPlaces {
  constructor() {
    /** @type {(string | null)[]} of each page the path, the first one's is not needed; null: there is no such page */
    this._paths = [""];
    /** Of each page the row with which it begins; pages differ in length. */
    this._starts = [0];
  }

  get known() {
    return this._starts[this._starts.length - 1];
  }

  get isAll() {
    return this._paths.at(-1) === null;
  }

  get count() {
    return this.isAll ? this.known : this.known + 1;
  }

  /** @param {number} index @returns {[number, number]} */
  at(index) {
    let [low, high] = [0, this._starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this._starts[middle] <= index) low = middle;
      else high = middle - 1;
    }
    return [low, index - this._starts[low]];
  }

  /** @param {number} number @param {Record<string, any>} query @param {AbortSignal} signal */
  ask(number, query, signal) {
    const path = this._paths[number];
    return path ? api.nextPage(path, signal) : api.keys({ ...query, limit: PAGE }, signal);
  }

  /** @param {number} number @param {api.Page} page */
  know(number, { items, next }) {
    const moved = this._starts[number] + items.length - this._starts[number + 1];
    if (number === this._paths.length - 1) {
      this._paths.push(next);
      this._starts.push(this._starts[number] + items.length);
    } else if (moved) {
      // Keys came or went meanwhile: what follows begins elsewhere.
      for (let each = number + 1; each < this._starts.length; each++) this._starts[each] += moved;
    }
  }
}

export class KeyList {
  /** @param {{db: number, prefix: Uint8Array, hasPositions: boolean, onchange: () => void}} what */
  constructor({ db, prefix, hasPositions, onchange }) {
    this._query = { db: db || undefined, prefix, include: "type,ttl,size" };
    this._newPlaces = () => (hasPositions ? new Positions() : new VisitedPlaces());
    this._places = /** @type {Places} */ (this._newPlaces());
    this._onchange = onchange;
    this._abort = new AbortController();
    /** @type {Map<number, api.Item[] | null>} null: asked for */
    this._pages = new Map();
    this._emptyInARow = 0;
    this.tookMs = 0;
    this.isLoaded = false;
    this.problem = /** @type {Error | null} */ (null);
    this.sort = /** @type {{column: Column, isDown: boolean}} */ ({ column: "name", isDown: false });
    this._load(0);
  }

  static get pageLength() {
    return PAGE;
  }

  get count() {
    return this._places.count;
  }

  get known() {
    return this._places.known;
  }

  get isAll() {
    return this._places.isAll;
  }

  /** The key at *index*; null while it is on its way. @param {number} index @returns {api.Item | null} */
  item(index) {
    const [number, place] = this._places.at(index);
    const page = this._pages.get(number);
    if (page) {
      this._pages.delete(number); // the last used is the last of the map
      this._pages.set(number, page);
      return page[place] ?? null;
    }
    if (page === undefined && !this.isResting) queueMicrotask(() => this._load(number));
    return null;
  }

  /** Whether many keys were looked at of which none is to be shown; `goOn` looks further. */
  get isResting() {
    return this._emptyInARow >= MOST_EMPTY;
  }

  goOn() {
    this._emptyInARow = 0;
    this._onchange();
  }

  /** @param {number} number */
  async _load(number) {
    if (this._pages.has(number)) return;
    this._pages.set(number, null);
    const places = this._places;
    const started = performance.now();
    try {
      const page = await places.ask(number, this._query, this._abort.signal);
      if (places !== this._places) return; // the list was loaded anew meanwhile
      this._pages.set(number, this._sorted(page.items));
      places.know(number, page);
      this._emptyInARow = page.items.length ? 0 : this._emptyInARow + 1;
      this.tookMs = performance.now() - started;
      this.isLoaded = true;
      this.problem = null;
    } catch (error) {
      if (this._abort.signal.aborted || places !== this._places) return;
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
    this._emptyInARow = 0;
    this._places = this._newPlaces();
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
