// A typed line as the arguments of a command, by the rules of redis-cli: "…" with escapes, '…' without, spaces between.

import { utf8 } from "../bytes.js";

const ESCAPES = { n: "\n", r: "\r", t: "\t", b: "\b", a: "\u0007" };

/**
 * The arguments of a line; `isOpen` when the last one is in quotes that do not end.
 * @param {string} line @returns {{args: Uint8Array[], isOpen: boolean, endsInSpace: boolean}}
 */
export function split(line) {
  /** @type {Uint8Array[]} */
  const args = [];
  let at = 0;
  let isOpen = false;
  while (at < line.length) {
    if (/\s/.test(line[at])) {
      at += 1;
      continue;
    }
    /** @type {number[]} */
    const bytes = [];
    let quote = "";
    for (; at < line.length && (quote || !/\s/.test(line[at])); at++) {
      const character = line[at];
      if (!quote && (character === '"' || character === "'")) quote = character;
      else if (character === quote) quote = "";
      else if (quote === '"' && character === "\\") at += escape(line, at, bytes);
      else if (quote === "'" && line.startsWith("\\'", at)) bytes.push(39), (at += 1);
      else {
        const whole = String.fromCodePoint(/** @type {number} */ (line.codePointAt(at)));
        bytes.push(...utf8(whole));
        at += whole.length - 1;
      }
    }
    isOpen = quote !== "";
    args.push(Uint8Array.from(bytes));
  }
  return { args, isOpen, endsInSpace: /\s$/.test(line) && !isOpen };
}

/** Add what the escape at *at* stands for; how much longer than one character it is. @param {string} line @param {number} at @param {number[]} bytes */
function escape(line, at, bytes) {
  const hex = /^\\x([0-9a-f]{2})/i.exec(line.slice(at, at + 4));
  if (hex) {
    bytes.push(Number.parseInt(hex[1], 16));
    return 3;
  }
  const next = line[at + 1] ?? "";
  bytes.push(...utf8(ESCAPES[next] ?? next));
  return next ? 1 : 0;
}
