// The slots of a cluster as a ring: an arc for each range that a shard serves, in the shard's colour and with its number;
// what nobody serves stays open and is marked. The same is said in words by its name.

import { svg } from "../elements.js";
import { counted, plural } from "./figures.js";

export const SLOTS = 16_384;
const MIDDLE = 100;
const RADIUS = 82;
const GAP = 0.012; // between two arcs, in radians
const LEAST = 0.18; // an arc narrower than this has no number in it

/** @typedef {{number: number, address: string, slots: [number, number][], isFailed: boolean}} Shard */

/** Colours repeat after eight. @param {number} number of a shard, from 1 on; 0: of none */
export const colourOf = (number) => (number ? `shard-${(number - 1) % 8}` : "shard-none");

/** @param {Shard[]} shards @param {number} covered how many slots are served @returns {SVGElement} */
export function slotRing(shards, covered) {
  const arcs = shards.flatMap((shard) => shard.slots.flatMap(([first, last]) => arc(shard, first, last)));
  const told = shards.map(({ number, address, slots }) => `shard ${number} at ${address} ${slotsInWords(slots)}`).join("; ");
  const open = SLOTS - covered;
  return svg("svg", { class: "slot-ring", viewBox: "0 0 200 200", role: "img", "aria-label": `Slots: ${told || "none served"}${open ? `; ${plural(open, "slot")} not served` : ""}` },
    open > 0 && svg("circle", { class: "ring-open", cx: MIDDLE, cy: MIDDLE, r: RADIUS }),
    arcs,
    svg("text", { class: "ring-count", x: MIDDLE, y: MIDDLE - 2 }, counted(covered)),
    svg("text", { class: "ring-said", x: MIDDLE, y: MIDDLE + 16 }, open ? `of ${counted(SLOTS)} slots` : "slots served"),
    svg("text", { class: "ring-said", x: MIDDLE, y: MIDDLE + 31 }, plural(shards.length, "shard")));
}

/** @param {Shard} shard @param {number} first @param {number} last */
function arc({ number, isFailed }, first, last) {
  const from = angle(first) + GAP / 2;
  const to = Math.max(angle(last + 1) - GAP / 2, from + 0.004);
  const middle = (from + to) / 2;
  const large = to - from > Math.PI ? 1 : 0;
  return [
    svg("path", { class: `ring-arc ${colourOf(number)}${isFailed ? " is-failed" : ""}`, d: `M${point(from)}A${RADIUS} ${RADIUS} 0 ${large} 1 ${point(to)}` }),
    to - from > LEAST && svg("text", { class: "ring-number", x: coordinate(middle, Math.cos), y: coordinate(middle, Math.sin) + 4.5 }, String(number)),
  ];
}

/** From the top, clockwise. @param {number} slot */
const angle = (slot) => (slot / SLOTS) * 2 * Math.PI - Math.PI / 2;
/** @param {number} at @param {(at: number) => number} along */
const coordinate = (at, along) => MIDDLE + RADIUS * along(at);
/** @param {number} at */
const point = (at) => `${coordinate(at, Math.cos).toFixed(2)} ${coordinate(at, Math.sin).toFixed(2)}`;

/** @param {[number, number][]} slots */
export const slotsInWords = (slots) => (slots.length ? slots.map(([first, last]) => (first === last ? String(first) : `${first}–${last}`)).join(", ") : "none");
