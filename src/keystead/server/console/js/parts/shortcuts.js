// The keyboard: what works everywhere, and the list of it all under "?".

import { el } from "../elements.js";
import { go } from "../router.js";
import { ask } from "./dialog.js";
import { openPalette } from "./palette.js";

/** @type {[string, string][]} */
const LIST = [
  ["Ctrl K", "Find a key or a place, or do something"],
  ["/", "Search keys by prefix"],
  ["g then k, l, c, m, h, d, t, s", "Go to keys, live, commands, memory, history, deleted, transfer, server"],
  ["n", "New key"],
  ["e", "Edit the value"],
  ["Ctrl S", "Save"],
  ["t", "Time to live"],
  ["Delete", "Delete the key, or what begins like the folder"],
  ["h", "History of the key"],
  ["↑ ↓ Page Up Page Down Home End", "Move in a list"],
  ["→ ←", "Open, close a folder"],
  ["Enter", "Show the key"],
  ["Escape", "Leave a dialog or an edit"],
  ["?", "This list"],
];

const PLACES = { k: "keys", l: "live", c: "commands", m: "memory", h: "history", s: "server", d: "deleted", t: "transfer" };

/** What a view does at a key, while it is open. @type {Map<string, () => void>} */
const ofView = new Map();

/** Let *key* do something until the returned function is called. @param {string} key @param {() => void} act */
export function onKey(key, act) {
  ofView.set(key, act);
  return () => {
    if (ofView.get(key) === act) ofView.delete(key);
  };
}

/** @param {Record<string, {title: string, icon: string}>} views */
export function listenForShortcuts(views) {
  let isGoing = false;
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const isControl = event.ctrlKey || event.metaKey;
    if (isControl && event.key === "k") act(event, () => openPalette(views));
    else if (isControl && event.key === "s") act(event, () => ofView.get("Ctrl S")?.());
    else if (isControl || event.altKey || isTyping(event)) return;
    else if (isGoing && event.key in PLACES) act(event, () => go({ view: PLACES[event.key] }));
    else if (event.key === "?") act(event, showShortcuts);
    else if (event.key !== "g" && ofView.has(event.key)) act(event, () => ofView.get(event.key)?.());
    isGoing = event.key === "g" && !isGoing;
  });
}

/** @param {Event} event @param {() => void} run */
function act(event, run) {
  event.preventDefault();
  run();
}

/** @param {Event} event */
function isTyping(event) {
  const target = /** @type {Element} */ (event.target);
  return Boolean(target.closest?.("input, textarea, select, [contenteditable]"));
}

export function showShortcuts() {
  const rows = LIST.map(([keys, what]) => el("div", {}, el("dt", {}, el("kbd", {}, keys)), el("dd", {}, what)));
  return ask({ title: "Keyboard shortcuts", content: [el("dl", { class: "shortcuts" }, rows)], answers: [], leave: "Close" });
}
