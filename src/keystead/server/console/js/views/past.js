// The past of the whole keyspace: who changed what, and what is not the same between two moments.

import { el, fill } from "../elements.js";
import { link } from "../router.js";
import { showDifferences } from "./past_differences.js";
import { showTransactions } from "./past_transactions.js";

/** A page fills its place and returns what ends it. @typedef {(place: HTMLElement, route: import("../router.js").Route) => () => void} PastPage */

/** @type {Record<string, {title: string, show: PastPage}>} */
const PAGES = {
  transactions: { title: "Who changed what", show: showTransactions },
  differences: { title: "Between two moments", show: showDifferences },
};

/** @param {HTMLElement} place @param {import("../router.js").Route} first @returns {import("../main.js").View} */
export function showPastOfAll(place, first) {
  const tabs = el("nav", { class: "tabs", "aria-label": "History" });
  const body = el("div", { class: "stack" });
  let leave = () => {};
  fill(place, el("div", { class: "page" }, el("header", {}, el("h1", {}, "History")), tabs, body));
  update(first);
  return { update, leave: () => leave() };

  /** @param {import("../router.js").Route} route */
  function update(route) {
    const name = route.rest in PAGES ? route.rest : "transactions";
    leave();
    fill(tabs, Object.entries(PAGES).map(([each, page]) =>
      el("a", { href: link({ view: "history", rest: each }), "aria-current": each === name ? "page" : undefined }, page.title)));
    tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    fill(body);
    leave = PAGES[name].show(body, route);
  }
}
