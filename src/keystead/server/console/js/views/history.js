// A key through time: a slider over its changes, who made each, and what it changed.

import * as api from "../api.js";
import { bytesOf } from "../bytes.js";
import { button, el, fill } from "../elements.js";
import { shownDifference } from "../parts/diff.js";
import { moment, plural, size } from "../parts/figures.js";
import { notice, reporting } from "../parts/notices.js";
import { undoTransaction } from "../parts/undo.js";
import { go, link } from "../router.js";
import { mayWrite } from "../state.js";

const COUNT = 100;

/**
 * @typedef {{sequence: number | null, time_ms: number, operation: string, user: string, client: string, value?: import("../bytes.js").Text | null,
 *   expires_at_ms?: number, size?: number}} Change
 * @typedef {{db: number, key: Uint8Array, back: () => void, onchange: () => void}} What
 */

/** @param {HTMLElement} place @param {What} what */
export function showHistory(place, what) {
  fill(place, el("p", { class: "quiet" }, "Reading the log backwards…"));
  let isLeft = false;
  load().catch((error) => {
    if (!isLeft) fill(place, el("div", { class: "nothing" }, el("p", { role: "alert" }, error.message), button("Back to the value", what.back)));
  });
  return { close: () => { isLeft = true; } };

  /** @param {Change[]} [newer] those that are there already, oldest first, as time goes */
  async function load(newer = []) {
    const before = newer.find(({ sequence }) => sequence !== null)?.sequence;
    const answer = await api.keyHistory(what.db, what.key, { count: COUNT, before });
    if (isLeft) return;
    /** @type {Change[]} */
    const changes = [...answer.changes.reverse(), ...newer];
    if (!changes.length) {
      fill(place, el("div", { class: "nothing" }, el("p", {}, "Nothing is kept of this key. How far back history goes is a matter of history-max-age and history-max-bytes."), button("Back to the value", what.back)));
      return;
    }
    const hasOlder = answer.changes.length === COUNT;
    new Slider(place, what, changes, hasOlder ? () => reporting(() => load(changes)) : null);
  }
}

class Slider {
  /** @param {HTMLElement} place @param {What} what @param {Change[]} changes @param {(() => void) | null} older loads older ones */
  constructor(place, what, changes, older) {
    this._what = what;
    this._changes = changes;
    this._at = changes.length - 1;
    this._range = el("input", { type: "range", min: "0", max: String(changes.length - 1), value: String(this._at), step: "1", "aria-label": "Change", oninput: () => this._move(Number(this._range.value)) });
    this._told = el("div", { class: "change-told", role: "status" });
    this._difference = el("div", {});
    this._deeds = el("div", { class: "row" });
    this._list = el("ol", { class: "changes", "aria-label": "Changes, newest first" });
    fill(place,
      el("div", { class: "row value-tools" }, el("span", { class: "quiet" }, `${plural(changes.length, "change")}${older ? ", the newest" : ""}`), older && button("Older ones", older), el("span", { class: "grow" }), button("Back to the value", what.back)),
      el("div", { class: "slider" }, el("small", {}, moment(changes[0].time_ms)), this._range, el("small", {}, moment(changes.at(-1)?.time_ms ?? 0))),
      this._told, this._deeds, this._difference, el("h2", {}, "All changes"), this._list);
    this._move(this._at);
    this._range.focus();
  }

  /** @param {number} at */
  _move(at) {
    this._at = at;
    const change = this._changes[at];
    const before = at ? valueOf(this._changes[at - 1]) : null;
    this._range.value = String(at);
    this._range.setAttribute("aria-valuetext", `${change.operation}, ${moment(change.time_ms)}`);
    fill(this._told, el("strong", {}, change.operation), ` on ${moment(change.time_ms)}${by(change)}`, change.sequence !== null && el("span", { class: "quiet" }, ` · transaction ${change.sequence}`));
    const whole = change.sequence !== null;
    fill(this._deeds,
      whole && el("a", { class: "button", href: link({ key: this._what.key, query: { at: String(change.sequence) } }) }, "Show the key at this moment"),
      whole && button("All keys at this moment", () => go({ query: { at: String(change.sequence) } })),
      whole && mayWrite() && valueOf(change) !== null && button("Restore this value", () => this._restore(change)),
      whole && mayWrite() && button("Undo this change", () => this._undo(change)));
    fill(this._difference, shownDifference(before, valueOf(change), "What this change did"));
    fill(this._list, this._changes.map((each, index) => el("li", {}, button("", () => this._move(index), { class: "change", "aria-current": index === at ? "true" : undefined }))).reverse());
    [...this._list.querySelectorAll("button")].forEach((row, place) => fillRow(row, this._changes[this._changes.length - 1 - place]));
  }

  /** @param {Change} change */
  async _restore(change) {
    await reporting(async () => {
      await api.restore(this._what.db, this._what.key, /** @type {number} */ (change.sequence));
      notice(`The value of ${moment(change.time_ms)} is back.`);
      this._what.onchange();
    });
  }

  /** @param {Change} change */
  async _undo(change) {
    await reporting(() => undoTransaction(/** @type {number} */ (change.sequence), this._what.onchange));
  }
}

/** @param {Element} row @param {Change} change */
function fillRow(row, change) {
  const value = valueOf(change);
  fill(row, el("span", { class: "op" }, change.operation), el("span", {}, moment(change.time_ms)), el("span", { class: "quiet" }, by(change).slice(4)), el("span", { class: "quiet" }, value === null ? "" : size(value.length)));
}

/** @param {Change} change */
const by = (change) => (change.user ? ` by ${change.user}${change.client ? ` from ${change.client}` : ""}` : "");

/** @param {Change} change @returns {Uint8Array | null} */
export function valueOf(change) {
  if (change.value === undefined || change.value === null) return null;
  return bytesOf(change.value);
}
