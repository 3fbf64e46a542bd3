// What pages of the server share: reading once or again and again, saying what went wrong, tables.

import { el, fill } from "../elements.js";

/**
 * Call *load* now and every *everyMs* (0: only now) until the returned function is called. What fails is said in *trouble*.
 * @param {() => Promise<void>} load @param {HTMLElement} trouble @param {number} [everyMs]
 */
export function repeating(load, trouble, everyMs = 0) {
  let isLeft = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const run = async () => {
    try {
      await load();
      if (!isLeft) fill(trouble);
    } catch (error) {
      if (!isLeft) fill(trouble, /** @type {Error} */ (error).message);
    }
    if (!isLeft && everyMs) timer = setTimeout(run, everyMs);
  };
  run();
  return () => {
    isLeft = true;
    clearTimeout(timer);
  };
}

/** Where that is said. @returns {HTMLElement} */
export const troublePlace = () => el("p", { class: "trouble", role: "alert" });

/**
 * A table with a name.
 * @param {string} label @param {string[]} titles @param {(import("../elements.js").Child[])[]} rows
 */
export function table(label, titles, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    el("table", {}, el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title || el("span", { class: "visually-hidden" }, "Deed"))))),
      el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)))))));
}

/** Names with their figures. @param {[string, import("../elements.js").Child][]} facts */
export const factsGrid = (facts) => el("dl", { class: "facts-grid" }, facts.map(([name, figure]) => el("div", {}, el("dt", {}, name), el("dd", {}, figure))));

/** The lines "name:value" of INFO. @param {string} text @returns {Record<string, string>} */
export function infoOf(text) {
  const pairs = text.split("\n").map((line) => /^([\w-]+):(.*?)\r?$/.exec(line)).filter((found) => found !== null);
  return Object.fromEntries(pairs.map((found) => [found[1], found[2]]));
}
