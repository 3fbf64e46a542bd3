// What is not the same at two moments, over all keys: each with its value before and after, and a way back to it.

import * as api from "../api.js";
import { bytesOf, shown, typedBytes } from "../bytes.js";
import { button, el, field, fill, icon } from "../elements.js";
import { shownDifference } from "../parts/diff.js";
import { moment, plural, size } from "../parts/figures.js";
import { reporting } from "../parts/notices.js";
import { offerUndo } from "../parts/undo.js";
import { go, link } from "../router.js";
import { mayWrite, state } from "../state.js";
import { exact } from "./moment.js";

const COUNT = 100;
const AN_HOUR_AGO = "-1h";

/**
 * @typedef {{key: import("../bytes.js").Text, before: import("../bytes.js").Text | null, before_expires_at_ms: number | null,
 *   after: import("../bytes.js").Text | null, after_expires_at_ms: number | null}} Difference
 */

/** @type {import("./past.js").PastPage} */
export function showDifferences(place, route) {
  const given = (/** @type {string} */ name) => route.query.get(name) ?? "";
  const from = input(given("from") || AN_HOUR_AGO);
  const to = input(given("to") || "now");
  const prefix = input(given("prefix"), "every key");
  const said = el("p", { role: "status", class: "quiet" });
  const list = el("ul", { class: "differences", "aria-label": "Keys that are not the same" });
  const more = el("div", { class: "row" });
  let isLeft = false;
  fill(place,
    el("form", { class: "filters", onsubmit: compare },
      field("From", from), field("To", to), field("Keys that begin with", prefix),
      el("button", { type: "submit", class: "primary" }, "Compare")),
    el("p", { class: "quiet" }, "A moment is a time such as 18:00, yesterday 18:00, -10m, 2026-11-26T01:30, now, or the number of a transaction."),
    said, list, more);
  load(() => api.differences({ db: state.db || undefined, from: from.value, to: to.value, prefix: prefix.value ? typedBytes(prefix.value) : undefined, count: COUNT }));
  return () => { isLeft = true; };

  /** @param {Event} event */
  function compare(event) {
    event.preventDefault();
    const place = { view: "history", rest: "differences", query: { from: exact(from.value.trim()), to: exact(to.value.trim()), prefix: prefix.value } };
    if (link(place) === location.hash) dispatchEvent(new HashChangeEvent("hashchange"));
    else go(place);
  }

  /** @param {() => Promise<any>} ask */
  async function load(ask) {
    fill(more);
    fill(said, "Comparing…");
    try {
      const answer = await ask();
      if (isLeft) return;
      list.append(...answer.changes.map((/** @type {Difference} */ each) => differenceRow(each, answer.from.sequence)));
      const count = list.childElementCount;
      fill(said, `${count ? `${plural(count, "key")}${answer.next ? " so far" : ""} not the same` : "Every key is the same"}: ${told(answer.from)} and ${told(answer.to)}.`);
      fill(more, answer.next && button("More keys", () => load(() => api.nextPage(answer.next))));
    } catch (error) {
      if (!isLeft) fill(said, el("span", { class: "trouble" }, /** @type {Error} */ (error).message));
    }
  }
}

/** @param {string} value @param {string} [placeholder] */
const input = (value, placeholder) => el("input", { value, placeholder, required: placeholder === undefined, spellcheck: "false", autocomplete: "off", autocapitalize: "none" });

/** @param {{sequence: number, time_ms: number}} at */
const told = ({ sequence, time_ms: time }) => `transaction ${sequence}${time ? ` (${moment(time)})` : ""}`;

/** @param {Difference} difference @param {number} earlier the moment of `before` */
function differenceRow(difference, earlier) {
  const key = bytesOf(difference.key);
  const [before, after] = [difference.before, difference.after].map((text) => (text === null ? null : bytesOf(text)));
  const what = before === null ? "created" : after === null ? "removed" : shown(before) === shown(after) && before.length === after.length ? "time to live" : "changed";
  const values = el("div", {});
  const details = el("details", { ontoggle: () => details.open && !values.childElementCount && fill(values, shownDifference(before, after, `What is not the same of ${shown(key, 60)}`), expiry(difference)) },
    el("summary", {}, icon("chevron"),
      el("span", { class: `op op-${{ created: "put", removed: "delete" }[what] ?? "patch"}` }, what),
      el("span", { class: "name" }, shown(key, 120)),
      el("span", { class: "quiet" }, `${before === null ? "–" : size(before.length)} → ${after === null ? "–" : size(after.length)}`)),
    values,
    el("div", { class: "row" },
      el("a", { class: "button", href: link({ key }) }, "Show the key"),
      mayWrite() && before !== null && button("Restore the earlier value", () => restore(key, earlier), { "aria-label": `Restore the earlier value of ${shown(key, 60)}` })));
  return el("li", { class: "card" }, details);
}

/** @param {Difference} difference */
function expiry({ before, after, before_expires_at_ms: earlier, after_expires_at_ms: later }) {
  if (earlier === later) return null;
  const at = (/** @type {unknown} */ value, /** @type {number | null} */ time) => (value === null ? "no key" : time ? moment(time) : "never");
  return el("p", { class: "quiet" }, `Expires: ${at(before, earlier)} → ${at(after, later)}`);
}

/** @param {Uint8Array} key @param {number} earlier */
async function restore(key, earlier) {
  await reporting(async () => {
    const { sequence } = await api.restore(state.db, key, earlier);
    offerUndo(`${shown(key, 60)} has its earlier value again.`, sequence, () => {});
  });
}
