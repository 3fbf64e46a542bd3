// Bytes and how they are written. Keys and values of the store are bytes: here they become text, base64 and the parts
// of addresses, and come back unchanged. Knows nothing of the page and of the API's routes.

/** @typedef {string | {base64: string}} Text A string of the store as the API's JSON writes it. */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** The UTF-8 bytes of *text*. @param {string} text @returns {Uint8Array} */
export const utf8 = (text) => encoder.encode(text);

/** The text that *bytes* are, or null when they are not UTF-8. @param {Uint8Array} bytes @returns {string | null} */
export function textOrNull(bytes) {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

/** Bytes in base64. @param {Uint8Array} bytes @returns {string} */
export function toBase64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(binary);
}

/** @param {string} text @returns {Uint8Array} */
export const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** In the alphabet of addresses, without padding. @param {Uint8Array} bytes */
export const toBase64Url = (bytes) => toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** @param {string} text */
export const fromBase64Url = (text) => fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));

/** What the API wrote, as bytes. @param {Text} text @returns {Uint8Array} */
export const bytesOf = (text) => (typeof text === "string" ? utf8(text) : fromBase64(text.base64));

/** Bytes as the API takes them. @param {Uint8Array} bytes @returns {Text} */
export const textOf = (bytes) => textOrNull(bytes) ?? { base64: toBase64(bytes) };

const PLAIN = /^[A-Za-z0-9_.~:-]$/;

/**
 * Bytes as part of an address; also what identifies a key where JavaScript wants a string.
 * @param {Uint8Array} bytes
 */
export function percent(bytes) {
  let written = "";
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    written += PLAIN.test(character) ? character : `%${byte.toString(16).padStart(2, "0").toUpperCase()}`;
  }
  return written;
}

/** The bytes that *written* stands for; a stray % stands for itself. @param {string} written */
export function fromPercent(written) {
  const bytes = [];
  const source = utf8(written);
  for (let at = 0; at < source.length; at++) {
    const hex = source[at] === 0x25 ? String.fromCharCode(...source.subarray(at + 1, at + 3)) : "";
    if (/^[0-9a-f]{2}$/i.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      at += 2;
    } else {
      bytes.push(source[at]);
    }
  }
  return Uint8Array.from(bytes);
}

// Control characters, and those that turn the direction of text around or have no width: they could hide what a name
// really is.
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/**
 * A key or a short value as one line of text that hides nothing. What cannot be seen is written as an escape.
 * @param {Uint8Array} bytes @param {number} [most] characters
 */
export function shown(bytes, most = 400) {
  const isCut = bytes.length > most * 4;
  const part = isCut ? bytes.subarray(0, most * 4) : bytes;
  const exact = textOrNull(part);
  const raw = exact ?? (isCut ? lenient.decode(part).replace(/\ufffd+$/, "") : null) ?? escapedBytes(part);
  const text = raw.includes("\ufffd") && exact === null ? escapedBytes(part) : raw;
  const clear = text.replace(INVISIBLE, escaped);
  return isCut || clear.length > most ? `${clear.slice(0, most)}…` : clear;
}

/** @param {Uint8Array} bytes */
function escapedBytes(bytes) {
  let written = "";
  for (const byte of bytes) {
    written += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return written;
}

/** @param {string} character */
function escaped(character) {
  const code = character.charCodeAt(0);
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/**
 * What somebody typed into a field for a key or a prefix: text, in which \xHH, \n, \r, \t and \\ stand for bytes.
 * @param {string} typed
 */
export function typedBytes(typed) {
  const parts = typed.split(/(\\x[0-9a-fA-F]{2}|\\[nrt\\])/);
  const bytes = parts.flatMap((part, place) => (place % 2 ? [escapedByte(part)] : [...utf8(part)]));
  return Uint8Array.from(bytes);
}

/** @param {string} escape */
function escapedByte(escape) {
  if (escape[1] === "x") return Number.parseInt(escape.slice(2), 16);
  return { n: 10, r: 13, t: 9, "\\": 92 }[escape[1]] ?? 92;
}

/** What *typedBytes* takes for these bytes. @param {Uint8Array} bytes */
export function typeable(bytes) {
  const text = textOrNull(bytes);
  if (text === null) return escapedBytes(bytes).replaceAll("\\", "\\\\").replace(/\\\\x([0-9a-f]{2})/g, "\\x$1");
  return text.replaceAll("\\", "\\\\").replace(INVISIBLE, (found) => (found < "\u0080" ? escaped(found) : found));
}

/** @param {Uint8Array} left @param {Uint8Array} right */
export function sameBytes(left, right) {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

/** @param {Uint8Array} bytes @param {Uint8Array} prefix */
export function startsWith(bytes, prefix) {
  return bytes.length >= prefix.length && prefix.every((byte, at) => byte === bytes[at]);
}
