// What a value looks like: its kinds by detection, and a view of each. A new format is one entry in FORMATS.

import { textOrNull } from "../bytes.js";
import { el, fill } from "../elements.js";
import { LARGEST, compressionOf, decompressed } from "./compression.js";
import { counted, plural, size } from "./figures.js";
import { hexView } from "./hex.js";
import * as json from "./json.js";
import * as msgpack from "./msgpack.js";
import { treeView } from "./tree_view.js";

/**
 * @typedef {{element: HTMLElement, close?: () => void}} Shown
 * @typedef {object} Format
 * @property {string} id @property {string} label
 * @property {(bytes: Uint8Array) => boolean} fits whether the value may be this
 * @property {(bytes: Uint8Array, elsewhere: import("./compression.js").Elsewhere) => Shown} show
 */

const MOST_TEXT = 256 << 10;
const MOST_PARSED = 4 << 20;

/** @type {Format[]} In the order of preference. */
const FORMATS = [
  { id: "image", label: "Image", fits: (bytes) => imageType(bytes) !== null, show: showImage },
  { id: "compressed", label: "Compressed", fits: (bytes) => compressionOf(bytes) !== null, show: showCompressed },
  { id: "json", label: "JSON", fits: isJson, show: (bytes) => treeView(json.parse(textOrNull(bytes) ?? "")) },
  { id: "text", label: "Text", fits: (bytes) => textOrNull(bytes) !== null, show: showText },
  { id: "msgpack", label: "MessagePack", fits: isMessagePack, show: (bytes) => treeView(msgpack.parse(bytes)) },
  { id: "hex", label: "Hex", fits: () => true, show: hexView },
];

/** Those that a value may be, the likeliest first. @param {Uint8Array} bytes */
export const formatsOf = (bytes) => FORMATS.filter((format) => format.fits(bytes));

/** @param {Uint8Array} bytes */
function isJson(bytes) {
  const start = bytes.find((byte) => byte > 0x20);
  if ((start !== 0x7b && start !== 0x5b && start !== 0x22) || bytes.length > MOST_PARSED) return false;
  return parses(() => json.parse(textOrNull(bytes) ?? ""));
}

/** @param {Uint8Array} bytes */
function isMessagePack(bytes) {
  // Any byte below 0x80 is a MessagePack number: only maps, arrays and the like are taken for it.
  if (bytes.length < 2 || bytes[0] < 0x80 || bytes.length > MOST_PARSED) return false;
  return parses(() => msgpack.parse(bytes));
}

/** @param {() => unknown} parse */
function parses(parse) {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

/** @type {[string, number[]][]} */
const IMAGES = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38]],
];

/** @param {Uint8Array} bytes */
export function imageType(bytes) {
  const found = IMAGES.find(([, magic]) => magic.every((byte, at) => bytes[at] === byte));
  if (found) return found[0];
  const named = String.fromCharCode(...bytes.subarray(0, 12));
  if (named.startsWith("RIFF") && named.endsWith("WEBP")) return "image/webp";
  return named.slice(4) === "ftypavif" ? "image/avif" : null;
}

/** @param {Uint8Array} bytes @returns {Shown} */
function showImage(bytes) {
  const address = URL.createObjectURL(new Blob([bytes], { type: imageType(bytes) ?? "" }));
  const caption = el("figcaption", {}, `${imageType(bytes)}, ${size(bytes.length)}`);
  const image = el("img", { src: address, alt: "The value as an image" });
  image.addEventListener("load", () => fill(caption, `${imageType(bytes)}, ${image.naturalWidth} × ${image.naturalHeight}, ${size(bytes.length)}`));
  image.addEventListener("error", () => fill(caption, "The image is damaged: this browser cannot show it."));
  return { element: el("figure", { class: "image" }, image, caption), close: () => URL.revokeObjectURL(address) };
}

/** @param {Uint8Array} bytes @returns {Shown} */
function showText(bytes) {
  const text = textOrNull(bytes) ?? "";
  const block = el("pre", { class: "text", tabindex: "0", role: "region", "aria-label": "Value as text" }, visible(text.slice(0, MOST_TEXT)));
  if (!bytes.length) return { element: el("p", { class: "quiet" }, "The value is empty.") };
  if (text.length <= MOST_TEXT) return { element: block };
  const note = el("p", { class: "quiet" }, `The first ${counted(MOST_TEXT)} of ${plural(text.length, "character")}. Download the value to see all.`);
  return { element: el("div", { class: "stack" }, block, note) };
}

/** Control characters as their pictures (␀), so that they can be seen. @param {string} text */
const visible = (text) =>
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, (control) =>
    control === "\u007f" ? "\u2421" : String.fromCharCode(0x2400 + control.charCodeAt(0)),
  );

/** @param {Uint8Array} bytes @param {import("./compression.js").Elsewhere} elsewhere @returns {Shown} */
function showCompressed(bytes, elsewhere) {
  const compression = /** @type {import("./compression.js").Compression} */ (compressionOf(bytes));
  const place = el("div", { class: "stack" }, el("p", { class: "quiet" }, "Decompressing…"));
  /** @type {Shown | null} */
  let inner = null;
  let isClosed = false;
  decompressed(bytes, compression, elsewhere).then(
    (found) => {
      if (isClosed) return;
      const [format] = formatsOf(found.bytes).filter(({ id }) => id !== "compressed");
      inner = format.show(found.bytes, null);
      const note = `${compression}: ${size(bytes.length)}, decompressed ${size(found.bytes.length)} of ${format.label}`;
      fill(place, el("p", { class: "quiet" }, found.isCut ? `${note}; no more than ${size(LARGEST)} are shown.` : `${note}.`), inner.element);
    },
    (error) => fill(place, el("p", { class: "trouble" }, error.message), hexView(bytes).element),
  );
  return {
    element: place,
    close: () => {
      isClosed = true;
      inner?.close?.();
    },
  };
}
