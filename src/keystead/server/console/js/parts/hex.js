// Bytes as hex: offset, sixteen bytes, the same as text. Any length, as only the lines in sight are made.

import { el } from "../elements.js";
import { VirtualList } from "./virtual_list.js";

const WIDTH = 16;

/** @param {Uint8Array} bytes @param {number} at @returns {string} */
export function hexLine(bytes, at) {
  const part = [...bytes.subarray(at, at + WIDTH)];
  const hex = part.map((byte) => byte.toString(16).padStart(2, "0"));
  const text = part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("");
  const left = hex.slice(0, 8).join(" ").padEnd(23);
  return `${at.toString(16).padStart(8, "0")}  ${left}  ${hex.slice(8).join(" ").padEnd(23)}  ${text}`;
}

/** @param {Uint8Array} bytes @returns {{element: HTMLElement, close: () => void}} */
export function hexView(bytes) {
  const list = new VirtualList({
    label: "Bytes in hex",
    role: "list",
    rowHeight: 22,
    render: (index) => el("div", { class: "hex-line", role: "listitem" }, hexLine(bytes, index * WIDTH)),
  });
  list.element.classList.add("hex");
  list.count = Math.ceil(bytes.length / WIDTH);
  return { element: list.element, close: () => list.close() };
}

/** Bytes as pairs of digits, sixteen a line, to be edited. @param {Uint8Array} bytes */
export function digits(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += WIDTH) {
    lines.push([...bytes.subarray(at, at + WIDTH)].map((byte) => byte.toString(16).padStart(2, "0")).join(" "));
  }
  return lines.join("\n");
}

/** The bytes that such digits are. Raises SyntaxError. @param {string} typed */
export function fromDigits(typed) {
  const compact = typed.replace(/\s+/g, "");
  const wrong = /[^0-9a-f]/i.exec(compact);
  if (wrong) throw new SyntaxError(`“${wrong[0]}” is not a hex digit (0–9, a–f).`);
  if (compact.length % 2) throw new SyntaxError("Every byte takes two hex digits; the last one has only one.");
  return Uint8Array.from(compact.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
