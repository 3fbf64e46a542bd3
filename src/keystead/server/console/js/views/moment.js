// An earlier moment of the whole keyspace: choosing one, and the notice that one is shown.

import { button, el, field, fill } from "../elements.js";
import { ask } from "../parts/dialog.js";
import { moment as shownMoment } from "../parts/figures.js";
import { current, go } from "../router.js";

const HINT = "A time such as 18:00, yesterday 18:00, -10m, 2026-11-26T01:30, or the number of a transaction.";

/** The chosen moment; null: now; undefined: nothing was chosen. @param {string | null} before */
export function chooseMoment(before) {
  const typed = el("input", { value: before ?? "", autofocus: true, spellcheck: "false", autocomplete: "off", placeholder: "-10m" });
  const quick = [["5 minutes ago", "-5m"], ["an hour ago", "-1h"], ["yesterday", "-24h"]].map(([label, value]) =>
    button(label, () => { typed.value = value; typed.focus(); }));
  return ask({
    title: "Show the keys at a moment",
    content: [field("Moment", typed, HINT), el("div", { class: "row" }, quick)],
    answers: [
      { label: "Now", run: () => null },
      { label: "Show", kind: "primary", run: () => exact(typed.value.trim()) },
    ],
  });
}

/**
 * A relative time as the moment that it is now, so that a link to it stays true. Others are the server's to read.
 * @param {string} typed
 @returns {string | null}
 */
export function exact(typed) {
  if (!typed) return null;
  const found = /^-(\d+(?:\.\d+)?)([smhdw])$/.exec(typed);
  if (!found) return typed;
  const unit = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }[found[2]] ?? 1;
  return new Date(Date.now() - Number(found[1]) * unit * 1000).toISOString();
}

/** @param {string} moment @param {string} remark */
export function showMoment(moment, remark) {
  const time = Date.parse(moment);
  const label = /^\d+$/.test(moment) ? `transaction ${moment}` : Number.isNaN(time) ? moment : shownMoment(time);
  const back = () => {
    const route = current();
    go({ ...route, query: { ...Object.fromEntries(route.query), at: null } });
  };
  return fill(el("div", { class: "moment", role: "status" }), el("span", {}, "As it was: ", el("strong", {}, label), ". Nothing can be changed here.", remark), button("Back to now", back, { class: "link" }));
}
