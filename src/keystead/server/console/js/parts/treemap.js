// A treemap: rectangles as large as their share, near to squares. Positions are set through the style object, which the
// policy of the page allows; style attributes it does not.

import { el } from "../elements.js";

/** @typedef {{label: string, told: string, weight: number, onclick: (() => void) | null}} Part */

const MOST = 80;

/** @param {Part[]} parts */
export function treemap(parts) {
  const shown = parts.filter(({ weight }) => weight > 0).sort((left, right) => right.weight - left.weight).slice(0, MOST);
  const total = shown.reduce((sum, { weight }) => sum + weight, 0);
  const place = el("div", { class: "treemap", role: "group", "aria-label": "Bytes by folder" });
  const areas = squarified(shown.map(({ weight }) => weight / total), { x: 0, y: 0, width: 1.6, height: 1 });
  shown.forEach((part, index) => {
    const { x, y, width, height } = areas[index];
    const box = el("button", { type: "button", title: `${part.label}: ${part.told}`, disabled: !part.onclick, onclick: part.onclick ?? undefined }, el("span", { class: "name" }, part.label), el("small", {}, part.told));
    Object.assign(box.style, { left: `${(x / 1.6) * 100}%`, top: `${y * 100}%`, width: `${(width / 1.6) * 100}%`, height: `${height * 100}%` });
    place.append(box);
  });
  return place;
}

/** @typedef {{x: number, y: number, width: number, height: number}} Area */

/**
 * Areas for shares of 1 in falling order: rows are filled along the shorter side as long as that makes them squarer.
 * @param {number[]} shares @param {Area} area @returns {Area[]}
 */
function squarified(shares, area) {
  const scale = area.width * area.height;
  const sizes = shares.map((share) => share * scale);
  /** @type {Area[]} */
  const areas = [];
  let { x, y, width, height } = area;
  for (let at = 0; at < sizes.length; ) {
    const side = Math.min(width, height);
    let end = at + 1;
    while (end < sizes.length && worst(sizes.slice(at, end + 1), side) <= worst(sizes.slice(at, end), side)) end += 1;
    const row = sizes.slice(at, end);
    const thickness = row.reduce((sum, size) => sum + size, 0) / side;
    let along = 0;
    for (const size of row) {
      const length = size / thickness;
      areas.push(width >= height ? { x, y: y + along, width: thickness, height: length } : { x: x + along, y, width: length, height: thickness });
      along += length;
    }
    if (width >= height) (x += thickness), (width -= thickness);
    else (y += thickness), (height -= thickness);
    at = end;
  }
  return areas;
}

/** How far from a square the worst of a row is. @param {number[]} row @param {number} side */
function worst(row, side) {
  const sum = row.reduce((total, size) => total + size, 0);
  return Math.max((side ** 2 * row[0]) / sum ** 2, sum ** 2 / (side ** 2 * /** @type {number} */ (row.at(-1))));
}
