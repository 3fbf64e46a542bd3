// The log backwards, newest transaction first, a page at a time. A page of the API ends early when few transactions fit
// the filter, so pages are put together. Must not know: the page that shows them.

import * as api from "../api.js";

const PAGE = 100;

/**
 * @typedef {{operation: string, db: number, key?: import("../bytes.js").Text | null, size?: number | null, expires_at_ms?: number | null,
 *   swapped_with?: number | null}} Operation
 * @typedef {{sequence: number, time_ms: number, user: string, client: string, operations: Operation[], left_out: number}} Transaction
 * @typedef {{db: number, prefix?: Uint8Array, author?: string}} Filter
 */

export class TransactionLog {
  /** @param {Filter} filter @param {string} until the moment to begin at; empty: now */
  constructor(filter, until) {
    // Before a number is without it, and the moment of a transaction is the one behind it.
    const before = /^\d+$/.test(until) ? String(Number(until) + 1) : until || "now";
    this._first = { ...filter, before, count: PAGE };
    /** The path of the next page; undefined before the first, null after the last. */
    this._next = /** @type {string | null | undefined} */ (undefined);
  }

  /** Whether there is nothing before what was looked at. */
  get isAtEnd() {
    return this._next === null;
  }

  /**
   * The next ones backwards, newest first: about a hundred, none only at the end.
   * @param {(before: string) => void} onprogress told how far back it has looked @returns {Promise<Transaction[]>}
   */
  async older(onprogress) {
    /** @type {Transaction[]} */
    const found = [];
    while (found.length < PAGE && !this.isAtEnd) {
      const page = this._next ? await api.nextPage(this._next) : await api.transactions(this._first);
      found.push(...page.transactions);
      this._next = page.next;
      const before = page.next && new URLSearchParams(page.next.split("?")[1]).get("before");
      if (before) onprogress(before);
    }
    return found;
  }
}
