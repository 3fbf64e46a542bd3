// One key: what it is, how long it lives, its value in the likeliest format; and the way to change each of these.

import * as api from "../api.js";
import { shown } from "../bytes.js";
import { button, el, fill, iconButton } from "../elements.js";
import { size, span } from "../parts/figures.js";
import { formatsOf } from "../parts/formats.js";
import { notice, reporting } from "../parts/notices.js";
import { onKey } from "../parts/shortcuts.js";
import { current, go } from "../router.js";
import { isCluster, mayWrite } from "../state.js";
import { Editor } from "./editor.js";
import { showHistory } from "./history.js";
import { changeLifetime, deleteKey, renameKey } from "./key_dialogs.js";

/**
 * @typedef {object} What
 * @property {number} db @property {Uint8Array} key @property {string | null} moment
 * @property {() => void} onchange the list of keys is not what it was @property {() => void} back
 */

/** @param {HTMLElement} place @param {What} what */
export function showValue(place, what) {
  const view = new ValueView(place, what);
  view.load();
  return { leave: () => view.leave() };
}

class ValueView {
  /** @param {HTMLElement} place @param {What} what */
  constructor(place, what) {
    this._what = what;
    this._place = place;
    this._abort = new AbortController();
    /** @type {api.Value | null} */
    this._value = null;
    /** @type {{close?: () => void} | null} */
    this._shown = null;
    this._format = /** @type {string | null} */ (null);
    this._turn = 0; // what was asked for last is what is shown
    this._body = el("div", { class: "value-body" });
    this._facts = el("div", { class: "facts" });
    this._ttl = el("span", { class: "fact", role: "timer", "aria-label": "Time to live" });
    this._clock = setInterval(() => this._tick(), 500);
    const reload = () => this.load();
    addEventListener("keystead-changed", reload);
    this._forget = [() => removeEventListener("keystead-changed", reload)];
    if (mayWrite()) {
      this._forget.push(onKey("e", () => this._edit()), onKey("t", () => this._changeLifetime()));
    }
    if (!isCluster()) this._forget.push(onKey("h", () => this._history()));
    this._draw();
  }

  _draw() {
    const { key, moment } = this._what;
    const actions = [
      !isCluster() && button("History", () => this._history()),
      mayWrite() && button("Rename", () => this._rename()),
      mayWrite() && button("Time to live", () => this._changeLifetime()),
      mayWrite() && button("Delete", () => this._delete(), { class: "danger-quiet" }),
    ];
    fill(this._place,
      el("header", { class: "value-head" },
        iconButton("back", "Back to the keys", () => this._what.back(), { class: "icon-button back" }),
        el("h1", { class: "name" }, shown(key, 1000) || el("em", {}, "the empty key")),
        el("div", { class: "row" }, iconButton("transfer", "Copy a link to this key", () => this._copyLink()),
          iconButton("close", "Close", () => this._what.back(), { class: "icon-button wide-only" }))),
      this._facts,
      el("div", { class: "row actions" }, actions),
      this._body);
    if (moment) fill(this._facts, "…");
    fill(this._body, el("p", { class: "quiet" }, "Loading…"));
  }

  /** Read the value and show it. */
  async load() {
    if (this._editor) return;
    const { db, key, moment } = this._what;
    const turn = ++this._turn;
    try {
      this._value = await api.read(db, key, { signal: this._abort.signal, moment });
    } catch (error) {
      if (this._abort.signal.aborted) return;
      this._value = null;
      if (turn === this._turn) this._failed(/** @type {api.Problem} */ (error));
      return;
    }
    if (turn === this._turn && !this._editor) this._show();
  }

  /** @param {api.Problem} problem */
  _failed(problem) {
    this._shown?.close?.();
    fill(this._facts);
    const isMissing = problem.status === 404;
    fill(this._body, el("div", { class: "nothing" }, el("p", { role: "alert" }, isMissing ? "There is no such key now. It may have expired, or somebody has deleted it." : problem.message),
      el("div", { class: "row" }, button("Try again", () => this.load()), isMissing && !isCluster() && button("Its history", () => this._history(), { class: "primary" }))));
  }

  _show() {
    const value = /** @type {api.Value} */ (this._value);
    const { db, key, moment } = this._what;
    this._shown?.close?.();
    const isWhole = value.bytes.length === value.size;
    const formats = formatsOf(value.bytes);
    const format = formats.find(({ id }) => id === this._format) ?? formats[0];
    fill(this._facts,
      el("span", { class: "fact" }, "string"), el("span", { class: "fact" }, size(value.size)), this._ttl,
      el("span", { class: "fact quiet", title: "Entity tag: the digest of the value" }, value.etag.replaceAll('"', "")));
    this._tick();
    const tabs = el("div", { class: "tabs", role: "tablist", "aria-label": "Format" }, formats.map((each) => this._tab(each, each === format)));
    const shownNow = format.show(value.bytes, (encoding) => api.inside(db, key, { moment, encoding, etag: value.etag }));
    this._shown = shownNow;
    const download = el("a", { class: "button", href: api.address(db, key, moment), download: fileName(key) }, "Download");
    fill(this._body,
      el("div", { class: "row value-tools" }, tabs, el("span", { class: "grow" }), download, mayWrite() && isWhole && button("Edit", () => this._edit(), { class: "primary" })),
      !isWhole && el("p", { class: "quiet" }, `The first ${size(value.bytes.length)} of ${size(value.size)}; download it to see all.`),
      el("div", { class: "value-shown", role: "tabpanel", "aria-label": `Value as ${format.label}` }, shownNow.element));
  }

  /** @param {import("../parts/formats.js").Format} format @param {boolean} isSelected */
  _tab(format, isSelected) {
    const choose = () => {
      this._format = format.id;
      this._show();
      this._body.querySelector('[role="tab"][aria-selected="true"]')?.focus();
    };
    return el("button", { type: "button", role: "tab", "aria-selected": String(isSelected), tabindex: isSelected ? "0" : "-1", onclick: choose, onkeydown: alongTabs }, format.label);
  }

  /** Seconds to live, now; null for ever. */
  get _left() {
    if (!this._value || this._value.ttl === null) return null;
    return this._value.ttl - (Date.now() - this._value.readAt) / 1000;
  }

  _tick() {
    const left = this._left;
    if (left === null) fill(this._ttl, "does not expire");
    else if (left > 0) fill(this._ttl, `expires in ${span(left)}`);
    else {
      fill(this._ttl, "expired");
      if (this._value && !this._what.moment && !this._editor) {
        this._value = null;
        this.load();
      }
    }
  }

  // --- deeds ------------------------------------------------------------------------------------------------------------

  _edit() {
    const value = this._value;
    if (!value || value.bytes.length !== value.size || this._editor || !mayWrite()) return;
    this._shown?.close?.();
    const { db, key } = this._what;
    this._editor = new Editor(this._body, {
      db, key, value,
      onsaved: () => {
        this._what.onchange();
        this._stopEditing();
      },
      onleft: () => this._stopEditing(),
    });
  }

  _stopEditing() {
    this._editor?.close();
    this._editor = null;
    this.load();
  }

  async _rename() {
    const target = await renameKey(this._what.db, this._what.key);
    if (!target) return;
    this._what.onchange();
    go({ ...current(), rest: "", key: target, query: Object.fromEntries(current().query) });
  }

  async _changeLifetime() {
    if (!this._value) return;
    if (await changeLifetime(this._what.db, this._what.key, this._left)) {
      await this.load();
      this._what.onchange();
    }
  }

  async _delete() {
    await reporting(async () => {
      const again = () => {
        this._what.onchange();
        this.load();
      };
      if (!(await deleteKey(this._what.db, this._what.key, again))) return;
      this._what.onchange();
      this._what.back();
    });
  }

  _history() {
    if (this._editor) return;
    this._turn += 1;
    this._shown?.close?.();
    const { db, key } = this._what;
    this._shown = showHistory(this._body, { db, key, back: () => this.load(), onchange: () => (this._what.onchange(), this.load()) });
  }

  async _copyLink() {
    await reporting(async () => {
      await navigator.clipboard.writeText(location.href);
      notice("The link is copied.");
    });
  }

  leave() {
    this._abort.abort();
    clearInterval(this._clock);
    this._shown?.close?.();
    this._editor?.close();
    for (const forget of this._forget) forget();
  }
}

/** Left and right go along the tabs. @param {KeyboardEvent} event */
function alongTabs(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const tab = /** @type {HTMLElement} */ (event.currentTarget);
  if (!step) return;
  const next = step > 0 ? tab.nextElementSibling : tab.previousElementSibling;
  /** @type {HTMLElement | null} */ (next)?.click();
}

/** @param {Uint8Array} key */
const fileName = (key) => shown(key, 80).replaceAll(/[^\w.-]+/g, "_") || "value";

