// The log backwards, newest transaction first. The API tells it forwards from a moment on, so it is asked for stretches
// that end where the last one began, each twice as long while little is found. Must not know: the page.

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
    this._filter = filter;
    this._until = until;
    this._length = PAGE;
    /** The first transaction that was looked at; those before it are still to come. */
    this._before = /** @type {number | null} */ (null);
    this._first = 1;
  }

  /** Whether there is nothing before what was looked at. */
  get isAtEnd() {
    return this._before !== null && this._before <= this._first;
  }

  /**
   * The next ones backwards, newest first: about a hundred, none only at the end.
   * @param {(before: number) => void} onprogress told how far back it has looked @returns {Promise<Transaction[]>}
   */
  async older(onprogress) {
    if (this._before === null) await this._findBounds();
    /** @type {Transaction[]} */
    const found = [];
    while (found.length < PAGE && !this.isAtEnd) {
      const before = /** @type {number} */ (this._before);
      const from = Math.max(this._first, before - this._length);
      const stretch = await this._stretch(from, before);
      found.push(...stretch.reverse());
      this._before = from;
      if (stretch.length < PAGE / 2) this._length *= 2;
      onprogress(from);
    }
    return found;
  }

  async _findBounds() {
    const last = await api.sequenceAt(this._filter.db, this._until || "now");
    const { transactions } = await api.transactions({ count: 1 });
    this._first = transactions[0]?.sequence ?? last + 1;
    this._before = last + 1;
  }

  /** Those from *from* until before *before*, in order. @param {number} from @param {number} before */
  async _stretch(from, before) {
    /** @type {Transaction[]} */
    const found = [];
    let at = String(from);
    for (;;) {
      const page = await api.transactions({ ...this._filter, from: at, count: Math.min(1000, before - from) });
      found.push(...page.transactions.filter((/** @type {Transaction} */ each) => each.sequence < before));
      const next = page.next && new URLSearchParams(page.next.split("?")[1]).get("from");
      if (!next || Number(next) >= before) return found;
      at = next;
    }
  }
}
