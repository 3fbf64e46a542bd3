// Replies of commands, written as redis-cli writes them.

import { bytesOf, shown } from "../bytes.js";

/** @typedef {{type: string, value: any}} Reply as `?reply=typed` gives it */

const MOST_ITEMS = 1000;

/** @param {Reply} reply @param {string} [indent] @returns {string} */
export function written(reply, indent = "") {
  const { type, value } = reply;
  if (type === "null") return "(nil)";
  if (type === "simple" || type === "verbatim") return lined(value);
  if (type === "bulk") return `"${shown(bytesOf(value), 20_000).replaceAll('"', '\\"')}"`;
  if (type === "error") return `(error) ${lined(value)}`;
  if (type === "integer" || type === "big-number") return `(integer) ${typeof value === "object" ? lined(value) : value}`;
  if (type === "double" || type === "boolean") return `(${type}) ${value}`;
  return items(type === "map" ? value.map(pair) : value, indent);
}

/** @param {Reply[]} parts @returns {Reply} */
const pair = (parts) => ({ type: "pair", value: parts });

/** @param {Reply[]} replies @param {string} indent */
function items(replies, indent) {
  if (!replies.length) return "(empty)";
  const width = String(replies.length).length;
  const lines = replies.slice(0, MOST_ITEMS).map((item, index) => {
    const head = `${String(index + 1).padStart(width)}) `;
    const inner = `${indent}${" ".repeat(head.length)}`;
    const body = item.type === "pair" ? `${written(item.value[0])} => ${written(item.value[1], inner)}` : written(item, inner);
    return (index ? indent : "") + head + body;
  });
  if (replies.length > MOST_ITEMS) lines.push(`${indent}… ${replies.length - MOST_ITEMS} more`);
  return lines.join("\n");
}

/** Text that may have several lines. @param {import("../bytes.js").Text} text */
const lined = (text) => shown(bytesOf(text), 200_000).replaceAll("\\r\\n", "\n").replaceAll("\\n", "\n");
