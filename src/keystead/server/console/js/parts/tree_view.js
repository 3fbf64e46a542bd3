// A tree of JSON or MessagePack, foldable; what is folded is made when it is opened, long lists by hundreds.

import { button, el } from "../elements.js";
import { plural } from "./figures.js";
import { pretty } from "./json.js";

/** @typedef {import("./json.js").Tree} Tree */

const STEP = 100;
const OPEN_BELOW = 200;

/** @param {Tree} tree @returns {{element: HTMLElement}} */
export function treeView(tree) {
  return { element: el("div", { class: "json", role: "region", "aria-label": "Value as a tree", tabindex: "0" }, node(null, tree, true)) };
}

/** @param {string | null} name @param {Tree} tree @param {boolean} isOpen @returns {HTMLElement} */
function node(name, tree, isOpen) {
  const label = name === null ? null : el("span", { class: "json-name" }, name);
  if (tree.kind !== "array" && tree.kind !== "object") {
    return el("div", { class: "json-line" }, label, el("span", { class: `json-${tree.kind}` }, leaf(tree)));
  }
  /** @type {[string, Tree][]} */
  const children =
    tree.kind === "array" ? tree.items.map((item, index) => [String(index), item]) : tree.members.map(([key, item]) => [nameOf(key), item]);
  const about = tree.kind === "array" ? `[ ${plural(children.length, "item")} ]` : `{ ${plural(children.length, "member")} }`;
  const inside = el("div", { class: "json-inside" });
  const details = el("details", {}, el("summary", { class: "json-line" }, label, el("span", { class: "json-about" }, about)), inside);
  const show = () => {
    if (!inside.childElementCount) more(inside, children, 0);
  };
  details.addEventListener("toggle", () => details.open && show());
  if (isOpen || children.length === 0) {
    details.open = true;
    show();
  }
  return details;
}

/** @param {HTMLElement} place @param {[string, Tree][]} children @param {number} from */
function more(place, children, from) {
  const next = from + STEP;
  const isSmall = children.length < OPEN_BELOW;
  place.append(...children.slice(from, next).map(([name, child]) => node(name, child, isSmall && sizeOf(child) < 20)));
  if (next >= children.length) return;
  const rest = button(`${plural(children.length - next, "more")} …`.replace("mores", "more"), () => {
    rest.remove();
    more(place, children, next);
  }, { class: "link" });
  place.append(rest);
}

/** @param {Tree} tree */
const sizeOf = (tree) => (tree.kind === "array" ? tree.items.length : tree.kind === "object" ? tree.members.length : 0);

/** @param {Tree} key */
const nameOf = (key) => (key.kind === "string" ? key.text : key.kind === "array" || key.kind === "object" ? pretty(key) : key.text);

/** @param {{kind: string, text: string}} tree */
const leaf = (tree) => (tree.kind === "string" ? JSON.stringify(tree.text) : tree.text);
