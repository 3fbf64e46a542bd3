// The keyboard: what works everywhere, and the list of it all under "?".

import { el } from "../elements.js";
import { go } from "../router.js";
import { isCluster } from "../state.js";
import { ask } from "./dialog.js";
import { openPalette } from "./palette.js";

/** @type {[string, string][]} */
const LIST = [
  ["Ctrl K", "Find a key or a place, or do something"],
  ["/", "Search keys by prefix"],
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

/** @typedef {Record<string, {title: string, icon: string, letter: string}>} Views */

/** Those that there are. @type {() => Views} */
let viewsNow = () => ({});

/** What a view does at a key, while it is open. @type {Map<string, () => void>} */
const ofView = new Map();

/** Let *key* do something until the returned function is called. @param {string} key @param {() => void} act */
export function onKey(key, act) {
  ofView.set(key, act);
  return () => {
    if (ofView.get(key) === act) ofView.delete(key);
  };
}

/** @param {() => Views} views those that there are */
export function listenForShortcuts(views) {
  viewsNow = views;
  let isGoing = false;
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const isControl = event.ctrlKey || event.metaKey;
    if (isControl && event.key === "k") act(event, () => openPalette(views()));
    else if (isControl && event.key === "s") act(event, () => ofView.get("Ctrl S")?.());
    else if (isControl || event.altKey || isTyping(event)) return;
    else if (isGoing && viewAt(event.key)) act(event, () => go({ view: viewAt(event.key) }));
    else if (event.key === "?") act(event, showShortcuts);
    else if (event.key !== "g" && ofView.has(event.key)) act(event, () => ofView.get(event.key)?.());
    isGoing = event.key === "g" && !isGoing;
  });
}

/** The view that a letter behind g leads to. @param {string} letter */
const viewAt = (letter) => Object.entries(viewsNow()).find(([, view]) => view.letter === letter)?.[0];

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
  const views = Object.values(viewsNow());
  /** @type {[string, string]} */
  const places = [`g then ${views.map(({ letter }) => letter).join(", ")}`, `Go to ${views.map(({ title }) => title.toLowerCase()).join(", ")}`];
  const list = [...LIST.slice(0, 2), places, ...LIST.slice(2)].filter(([, what]) => !isCluster() || what !== "History of the key");
  const rows = list.map(([keys, what]) => el("div", {}, el("dt", {}, el("kbd", {}, keys)), el("dd", {}, what)));
  return ask({ title: "Keyboard shortcuts", content: [el("dl", { class: "shortcuts" }, rows)], answers: [], leave: "Close" });
}
