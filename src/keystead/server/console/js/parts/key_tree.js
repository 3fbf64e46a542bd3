// The keys as a tree of folders with exact counts, as far as it was opened: each folder is loaded by pages in order, the
// next page when its place comes into sight. Without a delimiter it is one long list. Must not know: the page.

import * as api from "../api.js";
import { bytesOf, percent, startsWith, utf8 } from "../bytes.js";

const PAGE = 500;

/**
 * @typedef {object} Node
 * @property {Uint8Array} name @property {boolean} isFolder @property {number} keys @property {boolean} [isAtLeast]
 * @property {number} level @property {Node[]} children @property {string | null} next path of the page after those
 * @property {boolean} isOpen @property {boolean} isLoaded @property {boolean} isLoading @property {Error | null} problem
 * @property {api.Item} item @property {Node | null} parent
 * @typedef {{kind: "node", node: Node} | {kind: "more", node: Node}} Row
 */

export class KeyTree {
  /**
   * @param {{db: number, prefix: Uint8Array, delimiter: string | null, moment?: string | null, onchange: () => void}} what
   */
  constructor({ db, prefix, delimiter, moment, onchange }) {
    this._query = { db: db || undefined, delimiter: delimiter ?? undefined, at: moment ?? undefined, include: moment ? undefined : "type,ttl,size" };
    this._onchange = onchange;
    this._abort = new AbortController();
    this.total = /** @type {number | null} */ (null);
    this.tookMs = 0;
    this.root = node({ name: "" }, prefix, null);
    this._shownFrom = delimiter ? afterLast(prefix, utf8(delimiter)) : 0;
    /** @type {Row[]} */
    this.rows = [];
    this._open(this.root);
  }

  get count() {
    return this.rows.length;
  }

  /** How many keys are known of. */
  get known() {
    return this.total ?? this.root.children.reduce((sum, child) => sum + (child.isFolder ? child.keys : 1), 0);
  }

  /** Whether there are no more than those. */
  get isAll() {
    return this.total !== null || (this.root.next === null && !this.root.children.some(({ isAtLeast }) => isAtLeast));
  }

  get problem() {
    return this.root.problem;
  }

  get isLoaded() {
    return this.root.isLoaded;
  }

  /** The part of a node's name that its folder does not say already. @param {Node} child */
  ownName(child) {
    return child.name.subarray(child.parent === this.root ? this._shownFrom : (child.parent?.name.length ?? 0));
  }

  /** The row at *index*; asks for more keys when that is what it stands for. @param {number} index @returns {Row} */
  row(index) {
    const row = this.rows[index];
    if (row.kind === "more" && !row.node.isLoading && !row.node.problem) queueMicrotask(() => this._load(row.node));
    return row;
  }

  /** Open or close the folder. @param {Node} folder */
  toggle(folder) {
    if (folder.isOpen) {
      folder.isOpen = false;
      this._changed();
    } else this._open(folder);
  }

  /** @param {Node} folder */
  _open(folder) {
    folder.isOpen = true;
    if (folder.isLoaded) this._changed();
    else this._load(folder);
  }

  /** The next page of a folder. @param {Node} folder */
  async _load(folder) {
    if (folder.isLoading) return;
    folder.isLoading = true;
    folder.problem = null;
    const started = performance.now();
    try {
      const page = folder.next
        ? await api.nextPage(folder.next, this._abort.signal)
        : await api.keys({ ...this._query, prefix: folder.name, limit: PAGE }, this._abort.signal);
      for (const item of page.items) folder.children.push(node(item, bytesOf(item.name), folder));
      folder.next = page.next;
      folder.isLoaded = true;
      if (folder === this.root) {
        this.total = page.total;
        this.tookMs = performance.now() - started;
      } else if (page.total !== null) folder.keys = page.total;
    } catch (error) {
      if (this._abort.signal.aborted) return;
      folder.problem = /** @type {Error} */ (error);
    } finally {
      folder.isLoading = false;
    }
    this._changed();
  }

  /** Ask again where asking failed. @param {Node} folder */
  retry(folder) {
    folder.problem = null;
    this._load(folder);
  }

  /** Load anew what is open, as far as it was loaded. */
  async reload() {
    const open = new Set();
    for (const row of this.rows) if (row.kind === "node" && row.node.isOpen) open.add(percent(row.node.name));
    this.root = node({ name: "" }, this.root.name, null);
    this.root.isOpen = true;
    await this._load(this.root);
    await this._reopen(this.root, open);
  }

  /** @param {Node} folder @param {Set<string>} open */
  async _reopen(folder, open) {
    for (const child of folder.children) {
      if (!child.isFolder || !open.has(percent(child.name))) continue;
      child.isOpen = true;
      await this._load(child);
      await this._reopen(child, open);
    }
  }

  _changed() {
    this.rows = [];
    this._flatten(this.root);
    this._onchange();
  }

  /** @param {Node} folder */
  _flatten(folder) {
    for (const child of folder.children) {
      this.rows.push({ kind: "node", node: child });
      if (child.isOpen) this._flatten(child);
    }
    if (folder.next || !folder.isLoaded || folder.problem) this.rows.push({ kind: "more", node: folder });
  }

  close() {
    this._abort.abort();
  }
}

/** @param {api.Item} item @param {Uint8Array} name @param {Node | null} parent @returns {Node} */
function node(item, name, parent) {
  return {
    item, name, parent,
    isFolder: Boolean(item.folder),
    keys: item.keys ?? 0,
    isAtLeast: item.at_least,
    level: parent ? parent.level + 1 : 0,
    children: [],
    next: null,
    isOpen: false,
    isLoaded: false,
    isLoading: false,
    problem: null,
  };
}

/** Where the part behind the last *mark* begins. @param {Uint8Array} bytes @param {Uint8Array} mark */
function afterLast(bytes, mark) {
  for (let at = bytes.length; at >= mark.length; at--) {
    if (startsWith(bytes.subarray(at - mark.length), mark)) return at;
  }
  return 0;
}
