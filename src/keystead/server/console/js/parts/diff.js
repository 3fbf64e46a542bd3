// What differs between two values, line by line: a longest common subsequence between their common beginning and end.
// Values that are no text are compared as lines of hex.

import { textOrNull } from "../bytes.js";
import { el } from "../elements.js";
import { hexLine } from "./hex.js";

const MOST_CELLS = 4_000_000;
const MOST_LINES = 2000;

/** @typedef {{mark: " " | "-" | "+", text: string}} Line */

/** @param {Uint8Array} before @param {Uint8Array} after @returns {Line[]} */
export function differences(before, after) {
  const texts = [textOrNull(before), textOrNull(after)];
  const isText = texts.every((text) => text !== null && !text.includes("\0"));
  return isText ? compared(texts[0].split("\n"), texts[1].split("\n")) : compared(hexLines(before), hexLines(after));
}

/** @param {Uint8Array} bytes */
function hexLines(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) lines.push(hexLine(bytes, at));
  return lines;
}

/** @param {string[]} before @param {string[]} after @returns {Line[]} */
export function compared(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const middle = [before.slice(start, before.length - end), after.slice(start, after.length - end)];
  return [
    ...before.slice(0, start).map(same),
    ...changed(middle[0], middle[1]),
    ...before.slice(before.length - end).map(same),
  ];
}

/** @param {string} text @returns {Line} */
const same = (text) => ({ mark: " ", text });
/** @param {string} text @returns {Line} */
const gone = (text) => ({ mark: "-", text });
/** @param {string} text @returns {Line} */
const come = (text) => ({ mark: "+", text });

/** @param {string[]} before @param {string[]} after @returns {Line[]} */
function changed(before, after) {
  if (!before.length || !after.length || before.length * after.length > MOST_CELLS) return [...before.map(gone), ...after.map(come)];
  const width = after.length + 1;
  const longest = new Uint32Array((before.length + 1) * width);
  for (let row = before.length - 1; row >= 0; row--) {
    for (let column = after.length - 1; column >= 0; column--) {
      const here = row * width + column;
      longest[here] = before[row] === after[column] ? longest[here + width + 1] + 1 : Math.max(longest[here + width], longest[here + 1]);
    }
  }
  const lines = [];
  let row = 0;
  let column = 0;
  while (row < before.length && column < after.length) {
    const here = row * width + column;
    if (before[row] === after[column]) {
      lines.push(same(before[row++]));
      column += 1;
    } else if (longest[here + width] >= longest[here + 1]) lines.push(gone(before[row++]));
    else lines.push(come(after[column++]));
  }
  return [...lines, ...before.slice(row).map(gone), ...after.slice(column).map(come)];
}

/** The difference, shown. @param {Uint8Array | null} before @param {Uint8Array | null} after @param {string} label */
export function shownDifference(before, after, label) {
  const lines = differences(before ?? new Uint8Array(), after ?? new Uint8Array());
  const hasChanges = lines.some((line) => line.mark !== " ");
  const spoken = { " ": "", "-": "removed: ", "+": "added: " };
  const rows = lines.slice(0, MOST_LINES).map(({ mark, text }) =>
    el("div", { class: ["diff-line", mark === "-" && "gone", mark === "+" && "come"] },
      el("span", { class: "diff-mark", "aria-hidden": "true" }, mark), el("span", { class: "visually-hidden" }, spoken[mark]), text),
  );
  return el("div", { class: "diff", role: "region", "aria-label": label, tabindex: "0" },
    hasChanges ? rows : el("p", { class: "quiet" }, "The values are the same."),
    lines.length > MOST_LINES && el("p", { class: "quiet" }, `${lines.length - MOST_LINES} more lines are not shown.`));
}
