// Import and export: JSON lines, as `keystead dump` and `keystead load` write and read them.

import * as api from "../api.js";
import { typedBytes } from "../bytes.js";
import { button, el, field, fill } from "../elements.js";
import { counted, plural, size } from "../parts/figures.js";
import { failed, notice } from "../parts/notices.js";
import { link } from "../router.js";
import { isCluster, mayWrite, state } from "../state.js";

const PIECE_BYTES = 4 << 20;

/** @param {HTMLElement} place @returns {import("../main.js").View} */
export function showTransfer(place) {
  const leaving = new AbortController();
  fill(place, el("div", { class: "page" }, el("header", {}, el("h1", {}, "Import, export"), el("p", { class: "quiet" }, `JSON lines: one line a key, with its value and its expiry; database ${state.db}.`)),
    el("div", { class: "two" }, exporting(leaving.signal), mayWrite() && importing(leaving.signal))));
  return { leave: () => leaving.abort() };
}

/** @param {AbortSignal} leaving */
function exporting(leaving) {
  const prefix = el("input", { spellcheck: "false", placeholder: "all keys" });
  const told = el("p", { class: "quiet", role: "status" });
  const start = button("Export", run, { class: "primary" });
  return el("section", { class: "card", "aria-label": "Export" }, el("h2", {}, "Export"), field("Only keys that begin with", prefix), el("div", { class: "row" }, start), told);

  async function run() {
    start.disabled = true;
    try {
      const blob = await collected(await api.exported(state.db, typedBytes(prefix.value), leaving), (lines, bytes) => fill(told, `${plural(lines, "line")}, ${size(bytes)} …`));
      fill(told, `${size(blob.size)} exported.`);
      save(blob, `keystead-db${state.db}.jsonl`);
    } catch (error) {
      fill(told, "The export ended early; nothing was saved.");
      failed(error);
    } finally {
      start.disabled = false;
    }
  }
}

/** @param {Response} response @param {(lines: number, bytes: number) => void} tell */
async function collected(response, tell) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const parts = [];
  let lines = 0;
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(parts, { type: "application/jsonl" });
    parts.push(value);
    bytes += value.length;
    for (const byte of value) if (byte === 10) lines += 1;
    tell(lines, bytes);
  }
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const address = URL.createObjectURL(blob);
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** @param {AbortSignal} leaving */
function importing(leaving) {
  const file = el("input", { type: "file", accept: ".jsonl,.ndjson,.json,.txt" });
  const existing = el("select", {}, el("option", { value: "keep" }, "keep them as they are"), el("option", { value: "replace" }, "replace them"));
  const bar = el("progress", { max: "1", value: 0, "aria-label": "Imported", hidden: true });
  const told = el("p", { class: "quiet", role: "status" });
  const start = button("Import", run, { class: "primary" });
  return el("section", { class: "card", "aria-label": "Import" }, el("h2", {}, "Import"), field("File", file, "As an export or keystead dump writes it."), field("Keys that exist already", existing), el("div", { class: "row" }, start), bar, told);

  async function run() {
    const chosen = file.files?.[0];
    if (!chosen) {
      fill(told, el("span", { class: "trouble" }, "Choose a file first."));
      return;
    }
    start.disabled = true;
    bar.hidden = false;
    let keys = 0;
    let kept = 0;
    let sent = 0;
    try {
      for await (const piece of pieces(chosen)) {
        if (leaving.aborted) return;
        const answer = await api.imported(state.db, piece, existing.value);
        keys += answer.imported;
        kept += answer.kept;
        sent += piece.size;
        bar.value = sent / chosen.size;
        fill(told, `${plural(keys, "key")} imported, ${size(sent)} of ${size(chosen.size)}`);
      }
      fill(told, `${plural(keys, "key")} imported${kept ? `, ${counted(kept)} that exist were kept` : ""}. `, el("a", { href: link({}) }, "Show the keys"), !isCluster() && ". ", !isCluster() && el("a", { href: link({ view: "history" }) }, "Undo it in History"));
      notice(`${plural(keys, "key")} imported.`);
    } catch (error) {
      fill(told, `It stopped after ${counted(keys)} keys; those before are in the store. `, el("span", { class: "trouble" }, /** @type {Error} */ (error).message));
    } finally {
      start.disabled = false;
    }
  }
}

/** A file in pieces that end with a line. @param {Blob} file @returns {AsyncGenerator<Blob>} */
async function* pieces(file) {
  for (let at = 0; at < file.size; ) {
    let end = Math.min(file.size, at + PIECE_BYTES);
    while (end < file.size) {
      const bytes = new Uint8Array(await file.slice(at, end).arrayBuffer());
      const last = bytes.lastIndexOf(10);
      if (last >= 0) {
        end = at + last + 1;
        break;
      }
      end = Math.min(file.size, end + PIECE_BYTES);
    }
    yield file.slice(at, end);
    at = end;
  }
}
