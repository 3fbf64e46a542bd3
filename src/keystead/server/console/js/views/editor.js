// Editing a value. Saving is conditional on the value as it was loaded; when somebody was quicker, mine, theirs and the
// value as loaded are shown side by side, and nothing is overwritten unseen.

import * as api from "../api.js";
import { shown, textOrNull, utf8 } from "../bytes.js";
import { button, el, field, fill } from "../elements.js";
import { ask, confirmed } from "../parts/dialog.js";
import { shownDifference } from "../parts/diff.js";
import { plural } from "../parts/figures.js";
import { digits, fromDigits } from "../parts/hex.js";
import * as json from "../parts/json.js";
import { failed, notice } from "../parts/notices.js";
import { onKey } from "../parts/shortcuts.js";
import { offerOldValue } from "../parts/undo.js";

const CHECK_PAUSE_MS = 200;

/** A way to write bytes in a field: there, and back. @typedef {{id: "text" | "hex", write: (bytes: Uint8Array) => string, read: (typed: string) => Uint8Array}} Notation */

/** @type {Notation} */
const HEX = { id: "hex", write: digits, read: fromDigits };
/** @type {Notation} */
const TEXT = { id: "text", write: (bytes) => textOrNull(bytes) ?? "", read: utf8 };
/** A field turns \r\n into \n, so it is turned back. @type {Notation} */
const TEXT_CRLF = { id: "text", write: TEXT.write, read: (typed) => utf8(typed.replaceAll("\n", "\r\n")) };

/** What a field can hold without changing it. @param {Uint8Array} bytes @returns {Notation} */
function notationOf(bytes) {
  const text = textOrNull(bytes);
  if (text === null || /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(text)) return HEX;
  if (!text.includes("\r")) return TEXT;
  return /\r(?!\n)|(?<!\r)\n/.test(text) ? HEX : TEXT_CRLF;
}

/**
 * @typedef {object} What
 * @property {number} db @property {Uint8Array} key @property {api.Value} value
 * @property {() => void} onsaved @property {() => void} onleft
 */

export class Editor {
  /** @param {HTMLElement} place @param {What} what */
  constructor(place, what) {
    this._what = what;
    this._loaded = what.value; // as it was when the editing began, or when the last conflict was looked at
    this._notation = notationOf(what.value.bytes);
    this._wasJson = this._isJson(this._notation.write(what.value.bytes));
    this._field = el("textarea", { class: "editor", "aria-label": "Value", spellcheck: "false", rows: "18", oninput: () => this._changed(), onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this._leave() });
    this._field.value = this._notation.write(what.value.bytes);
    this._begun = this._field.value;
    this._note = el("p", { class: "quiet", role: "status" });
    this._save = button("Save", () => this.save(), { class: "primary" });
    fill(place,
      el("div", { class: "row value-tools" },
        el("span", { class: "quiet" }, { hex: "Bytes in hex", text: "Text" }[this._notation.id]),
        el("span", { class: "grow" }),
        this._wasJson && button("Format", () => this._format()),
        button("Replace by a file", () => this._chooseFile()),
        button("Cancel", () => this._leave()), this._save),
      this._field, this._note);
    this._forget = onKey("Ctrl S", () => this.save());
    addEventListener("beforeunload", this._warn);
    this._field.focus();
    this._field.setSelectionRange(0, 0);
    this._changed();
  }

  get _isChanged() {
    return this._field.value !== this._begun;
  }

  /** @param {BeforeUnloadEvent} event */
  _warn = (event) => {
    if (this._isChanged) event.preventDefault();
  };

  /** @param {string} text */
  _isJson(text) {
    if (this._notation === HEX || !/^\s*[{[]/.test(text)) return false;
    try {
      json.parse(text);
      return true;
    } catch {
      return false;
    }
  }

  _changed() {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._check(), CHECK_PAUSE_MS);
  }

  /** Say what is wrong with what is typed. Whether it can be saved. */
  _check() {
    const problem = this._problem();
    this._note.className = problem ? "trouble" : "quiet";
    this._field.setAttribute("aria-invalid", String(problem !== null));
    if (problem) fill(this._note, problem.message);
    else fill(this._note, `${plural(this._notation.read(this._field.value).length, "byte")}${this._wasJson ? ", valid JSON" : ""}${this._isChanged ? ", not saved" : ""}`);
    return problem === null;
  }

  /** @returns {Error | null} */
  _problem() {
    try {
      this._notation.read(this._field.value);
      if (this._wasJson) json.parse(this._field.value);
      return null;
    } catch (error) {
      return /** @type {Error} */ (error);
    }
  }

  _format() {
    if (!this._check()) return;
    this._field.value = json.pretty(json.parse(this._field.value));
    this._check();
  }

  _chooseFile() {
    const file = el("input", { type: "file", "aria-label": "File" });
    const replace = async () => {
      if (!file.files?.length) throw new Error("Choose a file first.");
      const bytes = new Uint8Array(await file.files[0].arrayBuffer());
      await this._put(bytes);
      return true;
    };
    ask({ title: "Replace the value by a file", content: [field("File", file)], answers: [{ label: "Save", kind: "primary", run: replace }] });
  }

  async save() {
    if (!this._check()) {
      if (this._notation === HEX) return;
      if (!(await confirmed("Save what is not JSON?", `The value was JSON until now. ${this._problem()?.message ?? ""}`, "Save all the same"))) return;
    }
    this._save.disabled = true;
    try {
      await this._put(this._notation.read(this._field.value));
    } catch (error) {
      failed(error);
    } finally {
      this._save.disabled = false;
    }
  }

  /** @param {Uint8Array} bytes */
  async _put(bytes) {
    const { db, key, onsaved } = this._what;
    let etag;
    try {
      etag = await api.write(db, key, bytes, { etag: this._loaded.etag, ttl: "keep" });
    } catch (error) {
      if (/** @type {api.Problem} */ (error).status !== 412) throw error;
      await this._resolve(bytes);
      return;
    }
    this._begun = this._field.value;
    const loaded = this._loaded;
    onsaved();
    offerOldValue(db, key, loaded, etag, () => dispatchEvent(new CustomEvent("keystead-changed")));
  }

  /** Somebody was quicker. @param {Uint8Array} mine */
  async _resolve(mine) {
    const { key } = this._what;
    const theirs = await this._current();
    const loaded = this._loaded;
    const answers = [
      { label: theirs ? "Take theirs" : "Leave it deleted", run: () => (this._takeTheirs(), true) },
      { label: "Go on editing", kind: /** @type {const} */ ("primary"), run: () => (this._goOn(theirs), true) },
      { label: theirs ? "Overwrite with mine" : "Create it again", kind: /** @type {const} */ ("danger"), run: () => this._overwrite(theirs, mine) },
    ];
    await ask({
      title: theirs ? "Somebody has changed this value" : "Somebody has deleted this key",
      content: [
        el("p", {}, `Nothing was saved. Since you loaded ${shown(key, 60)}, it has become another value.`),
        el("div", { class: "three" },
          version("As loaded", loaded.bytes),
          version("Theirs, now in the store", theirs?.bytes ?? null),
          version("Mine", mine)),
        el("h3", {}, "From the value as loaded to theirs"), shownDifference(loaded.bytes, theirs?.bytes ?? null, "What they changed"),
        el("h3", {}, "From the value as loaded to mine"), shownDifference(loaded.bytes, mine, "What I changed"),
      ],
      answers, size: "wide",
    });
  }

  /** @returns {Promise<api.Value | null>} */
  async _current() {
    try {
      return await api.read(this._what.db, this._what.key);
    } catch (error) {
      if (/** @type {api.Problem} */ (error).status === 404) return null;
      throw error;
    }
  }

  _takeTheirs() {
    this._begun = this._field.value;
    this._what.onleft();
  }

  /** What is saved next is meant over theirs, which was seen. @param {api.Value | null} theirs */
  _goOn(theirs) {
    if (theirs) this._loaded = theirs;
    this._field.focus();
    notice("Your text is still here. Saving it now replaces theirs, unless it changes again.");
  }

  /** @param {api.Value | null} theirs @param {Uint8Array} mine */
  async _overwrite(theirs, mine) {
    if (theirs) {
      this._loaded = theirs;
      await this._put(mine);
    } else {
      await api.write(this._what.db, this._what.key, mine, { etag: null });
      this._begun = this._field.value;
      this._what.onsaved();
    }
    return true;
  }

  async _leave() {
    if (this._isChanged) {
      if (!(await confirmed("Leave without saving?", "What you have typed is lost.", "Leave"))) return;
    }
    this._begun = this._field.value;
    this._what.onleft();
  }

  close() {
    clearTimeout(this._timer);
    removeEventListener("beforeunload", this._warn);
    this._forget();
  }
}

/** @param {string} title @param {Uint8Array | null} bytes */
function version(title, bytes) {
  const text = bytes === null ? "There is no such key." : (textOrNull(bytes.subarray(0, 20_000)) ?? digits(bytes.subarray(0, 4096)));
  return el("section", { "aria-label": title }, el("h3", {}, title), el("pre", { tabindex: "0", role: "region", "aria-label": title }, text));
}
