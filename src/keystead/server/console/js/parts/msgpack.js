// MessagePack, read into the same tree as JSON. Raises SyntaxError for anything that is not exactly one value.

import { shown, textOrNull } from "../bytes.js";

/** @typedef {import("./json.js").Tree} Tree */

const DEEPEST = 200;

/** @param {Uint8Array} bytes @returns {Tree} */
export function parse(bytes) {
  const reader = new Reader(bytes);
  const tree = reader.value(0);
  if (reader.at !== bytes.length) throw new SyntaxError("There is more after the end of the MessagePack value.");
  return tree;
}

/** @param {string | number | bigint} value @returns {Tree} */
const number = (value) => ({ kind: "number", text: String(value) });
/** @param {string} text @returns {Tree} */
const word = (text) => ({ kind: "word", text });

class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  /** @param {number} length */
  take(length) {
    if (this.at + length > this.bytes.length) throw new SyntaxError("The MessagePack value ends early.");
    const start = this.at;
    this.at += length;
    return start;
  }

  /** @param {1 | 2 | 4} width */
  unsigned(width) {
    const at = this.take(width);
    return width === 1 ? this.view.getUint8(at) : width === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }

  /** @param {number} depth @returns {Tree} */
  value(depth) {
    if (depth > DEEPEST) throw new SyntaxError("The MessagePack value is nested too deeply to be shown.");
    const head = this.unsigned(1);
    if (head < 0x80) return number(head);
    if (head < 0x90) return this.map(head & 15, depth);
    if (head < 0xa0) return this.array(head & 15, depth);
    if (head < 0xc0) return this.string(head & 31);
    if (head >= 0xe0) return number(head - 256);
    return this.long(head, depth);
  }

  /** @param {number} head @param {number} depth @returns {Tree} */
  long(head, depth) {
    const width = /** @type {1 | 2 | 4} */ (1 << (head & 3)); // of the fields whose code ends in their width
    switch (head) {
      case 0xc0: return word("null");
      case 0xc2: return word("false");
      case 0xc3: return word("true");
      case 0xc4: case 0xc5: case 0xc6: return this.binary(this.unsigned(/** @type {1 | 2 | 4} */ (1 << (head - 0xc4))));
      case 0xc7: case 0xc8: case 0xc9: return this.extension(this.unsigned(/** @type {1 | 2 | 4} */ (1 << (head - 0xc7))));
      case 0xca: return number(this.view.getFloat32(this.take(4)));
      case 0xcb: return number(this.view.getFloat64(this.take(8)));
      case 0xcc: case 0xcd: case 0xce: return number(this.unsigned(width));
      case 0xcf: return number(this.view.getBigUint64(this.take(8)));
      case 0xd0: return number(this.view.getInt8(this.take(1)));
      case 0xd1: return number(this.view.getInt16(this.take(2)));
      case 0xd2: return number(this.view.getInt32(this.take(4)));
      case 0xd3: return number(this.view.getBigInt64(this.take(8)));
      case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return this.extension(1 << (head - 0xd4));
      case 0xd9: case 0xda: case 0xdb: return this.string(this.unsigned(/** @type {1 | 2 | 4} */ (1 << (head - 0xd9))));
      case 0xdc: return this.array(this.unsigned(2), depth);
      case 0xdd: return this.array(this.unsigned(4), depth);
      case 0xde: return this.map(this.unsigned(2), depth);
      case 0xdf: return this.map(this.unsigned(4), depth);
      default: throw new SyntaxError("0xc1 does not occur in MessagePack.");
    }
  }

  /** @param {number} length @returns {Uint8Array} */
  raw(length) {
    const at = this.take(length);
    return this.bytes.subarray(at, at + length);
  }

  /** @param {number} length @returns {Tree} */
  string(length) {
    const text = textOrNull(this.raw(length));
    if (text === null) throw new SyntaxError("A MessagePack string is not UTF-8.");
    return { kind: "string", text };
  }

  /** @param {number} length @returns {Tree} */
  binary(length) {
    return { kind: "other", text: `bytes ${shown(this.raw(length))}` };
  }

  /** @param {number} length @returns {Tree} */
  extension(length) {
    const type = this.view.getInt8(this.take(1));
    return { kind: "other", text: `extension ${type} ${shown(this.raw(length))}` };
  }

  /** @param {number} count @param {number} depth @returns {Tree} */
  array(count, depth) {
    const items = [];
    for (let index = 0; index < count; index++) items.push(this.value(depth + 1));
    return { kind: "array", items };
  }

  /** @param {number} count @param {number} depth @returns {Tree} */
  map(count, depth) {
    /** @type {[Tree, Tree][]} */
    const members = [];
    for (let index = 0; index < count; index++) members.push([this.value(depth + 1), this.value(depth + 1)]);
    return { kind: "object", members };
  }
}
