// Making elements from data. Every text of the store reaches the page as a text node, so nothing in it is ever markup.
// The only module that calls createElement.

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element. Properties beginning with "on" listen; true and false set and remove an attribute; "class" may be a list
 * with holes; "value" and "checked" are set as properties.
 * @param {string} tag @param {Record<string, any>} [properties] @param {...(Child | Child[])} children
 * @returns {any}
 */
export function el(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/**
 * The same of SVG.
 * @param {string} tag @param {Record<string, any>} [properties] @param {...(Child | Child[])} children
 * @returns {any}
 */
export function svg(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

/** @param {Element} element @param {Record<string, any>} properties @param {(Child | Child[])[]} children */
function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(...nodes(children));
  return element;
}

/** @param {any} element @param {string} name @param {any} value */
function set(element, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "class") element.setAttribute("class", Array.isArray(value) ? value.filter(Boolean).join(" ") : value);
  else if (name === "value" || name === "checked") element[name] = value;
  else if (name === "style") throw new TypeError("styles belong to console.css");
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** @param {(Child | Child[])[]} children @returns {(Node | string)[]} */
function nodes(children) {
  return children
    .flat()
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/** Let *place* hold these children and nothing else. @param {Element} place @param {...(Child | Child[])} children */
export function fill(place, ...children) {
  place.replaceChildren(...nodes(children));
  return place;
}

/**
 * A button with a name.
 * @param {string} label @param {(event: MouseEvent) => void} onclick @param {Record<string, any>} [properties]
 */
export function button(label, onclick, properties = {}) {
  return el("button", { type: "button", onclick, ...properties }, label);
}

/**
 * A button that shows an icon and is called *label*.
 * @param {string} name @param {string} label @param {(event: MouseEvent) => void} onclick
 * @param {Record<string, any>} [properties]
 */
export function iconButton(name, label, onclick, properties = {}) {
  return el("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...properties }, icon(name));
}

/**
 * A field with its label above it.
 * @param {string} label @param {HTMLElement} control @param {string} [hint]
 */
export function field(label, control, hint) {
  return el("label", { class: "field" }, el("span", {}, label), control, hint && el("small", {}, hint));
}

/** @type {Record<string, string>} Paths on a grid of 20 by 20, drawn with a line of 1.6. */
const ICONS = {
  key: "M7 7.5a3.5 3.5 0 1 0 .01 0M10.3 11H17.5v3M14.5 11v2.2",
  folder: "M2.8 5.5h5l1.7 2h7.7v8H2.8z",
  live: "M2.5 10.5h3.2l2.2-5.5 3.6 10 2.3-4.5h3.7",
  terminal: "M3 4.5h14v11H3zM5.8 8l2.2 2-2.2 2M10 12.5h4",
  server: "M3.5 4h13v5h-13zM3.5 11h13v5h-13zM6 6.5h.5M6 13.5h.5",
  clock: "M10 3a7 7 0 1 0 .01 0M10 6v4.3l2.8 1.6",
  bin: "M4 5.5h12M8 5V3.5h4V5M5.5 5.5l.7 11h7.6l.7-11M8.5 8.5v5M11.5 8.5v5",
  plus: "M10 4v12M4 10h12",
  close: "M5 5l10 10M15 5L5 15",
  chevron: "M7.5 5l5 5-5 5",
  back: "M12.5 5l-5 5 5 5",
  sun: "M10 7a3 3 0 1 0 .01 0M10 2.5v1.7M10 15.8v1.7M2.5 10h1.7M15.8 10h1.7M4.7 4.7l1.2 1.2M14.1 14.1l1.2 1.2M15.3 4.7l-1.2 1.2M5.9 14.1l-1.2 1.2",
  search: "M8.8 3.5a5.3 5.3 0 1 0 .01 0M12.8 12.8l4 4",
  refresh: "M16 10a6 6 0 1 1-1.8-4.3M16 3.5v3h-3",
  transfer: "M6.5 16V4.5M3.5 7.5l3-3 3 3M13.5 4v11.5M10.5 12.5l3 3 3-3",
  memory: "M3 4h14v12H3zM11 4v12M11 9.5h6M3 12h8",
  cluster: "M10 3.2a2.2 2.2 0 1 0 .01 0M4.6 12.4a2.2 2.2 0 1 0 .01 0M15.4 12.4a2.2 2.2 0 1 0 .01 0M8.9 7.3l-3 5M11.1 7.3l3 5M6.8 14.6h6.4",
  person: "M10 3.5a3 3 0 1 0 .01 0M4 16.5c.5-3.5 3-5 6-5s5.500 1.500 6 5",
};

/** A small drawing beside a word; hidden from those who cannot see it. @param {string} name */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 20 20", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}
