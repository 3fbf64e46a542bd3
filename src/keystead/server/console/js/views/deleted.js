// The recycle bin: keys that do not exist now but did, newest first, each with a way back.

import * as api from "../api.js";
import { bytesOf, shown, typedBytes } from "../bytes.js";
import { button, el, fill } from "../elements.js";
import { moment, size } from "../parts/figures.js";
import { notice, reporting } from "../parts/notices.js";
import { link } from "../router.js";
import { mayWrite, state } from "../state.js";

const COUNT = 100;

/** @param {HTMLElement} place @returns {import("../main.js").View} */
export function showDeleted(place) {
  const prefix = el("input", { type: "search", "aria-label": "Search deleted keys by prefix", placeholder: "Search by prefix", spellcheck: "false", onchange: () => load() });
  const rows = el("tbody", {});
  const said = el("p", { role: "status", class: "quiet" }, "Reading the log backwards…");
  const more = el("div", { class: "row" });
  let asked = 0;
  fill(place, el("div", { class: "page" },
    el("header", {}, el("h1", {}, "Recycle bin"), el("p", { class: "quiet" }, "Keys that were deleted or have expired, as far back as history is kept.")),
    el("div", { class: "row" }, prefix, button("Load anew", () => load())), said,
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Deleted keys" },
      el("table", {}, el("thead", {}, el("tr", {}, ["Key", "What", "When", "By", "Size", ""].map((title) => el("th", { scope: "col" }, title || el("span", { class: "visually-hidden" }, "Deed"))))), rows)), more));
  load();
  return { leave: () => { asked += 1; } };

  /** @param {string | null} [before] */
  async function load(before = null) {
    const mine = ++asked;
    try {
      const answer = await api.deleted({ db: state.db || undefined, prefix: prefix.value ? typedBytes(prefix.value) : undefined, count: COUNT, before: before ?? undefined });
      if (mine !== asked) return;
      if (before === null) fill(rows);
      rows.append(...answer.keys.map(row));
      fill(said, rows.childElementCount ? "" : "Nothing was deleted, as far back as history is kept.");
      fill(more, answer.next && button("Older ones", () => load(new URLSearchParams(answer.next.split("?")[1]).get("before"))));
    } catch (error) {
      if (mine === asked) fill(said, el("span", { class: "trouble" }, /** @type {Error} */ (error).message));
    }
  }

  /** @param {any} item */
  function row(item) {
    const key = bytesOf(item.key);
    const { length } = bytesOf(item.value);
    const line = el("tr", {},
      el("td", { class: "name" }, el("a", { href: link({ key }) }, shown(key, 120))),
      el("td", {}, item.operation), el("td", {}, moment(item.time_ms)), el("td", {}, item.user ?? ""), el("td", {}, size(length)),
      el("td", {}, mayWrite() && button("Restore", () => restore(key, line), { "aria-label": `Restore ${shown(key, 60)}` })));
    return line;
  }

  /** @param {Uint8Array} key @param {HTMLElement} line */
  async function restore(key, line) {
    await reporting(async () => {
      await api.restore(state.db, key, null);
      line.remove();
      notice(`${shown(key, 60)} is back.`, { action: { label: "Show", run: () => { location.hash = link({ key }); } } });
    });
  }
}
