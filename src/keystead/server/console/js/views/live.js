// What happens now: changes as they become durable, and how the server does.

import * as api from "../api.js";
import { fromBase64Url, shown, typedBytes, utf8 } from "../bytes.js";
import { button, el, fill } from "../elements.js";
import { Chart } from "../parts/charts.js";
import { counted, duration, moment, plural, size, span, timeOfDay } from "../parts/figures.js";
import { VirtualList } from "../parts/virtual_list.js";
import { link } from "../router.js";
import { isCluster, state } from "../state.js";

const KEPT = 5000;
const MOST_A_FRAME = 500;
const POLL_MS = 1000;

/** @param {HTMLElement} place @returns {import("../main.js").View} */
export function showLive(place) {
  const charts = new Charts();
  const feed = isCluster() ? null : new Feed();
  // Something in a page that scrolls must take the focus, or the keyboard could not scroll it.
  if (!feed) charts.element.setAttribute("tabindex", "0");
  fill(place, el("div", { class: "page live" }, el("header", {}, el("h1", {}, "Live")), charts.element, feed?.element));
  feed?.start();
  charts.start();
  return {
    leave: () => {
      charts.stop();
      feed?.stop();
    },
  };
}

/** @typedef {{operation: string, db: number, time_ms: number, key?: string, key_base64url?: string, user?: string, client?: string, expires_at_ms?: number}} Told */

class Feed {
  constructor() {
    this._prefix = el("input", { type: "search", "aria-label": "Only keys that begin with", placeholder: "Only keys that begin with …", spellcheck: "false", onchange: () => this.start() });
    this._pause = button("Pause", () => this._togglePause(), { "aria-pressed": "false" });
    this._said = el("p", { class: "quiet", role: "status" });
    /** @type {Told[]} oldest first */
    this._told = [];
    /** @type {Told[]} since the last frame */
    this._waiting = [];
    this._seen = 0;
    this._dropped = 0;
    this._isPaused = false;
    /** @type {EventSource | null} */
    this._source = null;
    this._list = new VirtualList({ label: "Changes, newest first", role: "list", rowHeight: 30, render: (index) => this._row(this._told[this._told.length - 1 - index]) });
    this.element = el("section", { class: "feed", "aria-label": "Changes" },
      el("div", { class: "row" }, el("h2", {}, "Changes"), el("span", { class: "grow" }), this._prefix, this._pause, button("Clear", () => this._clear())),
      this._said, this._list.element);
  }

  start() {
    this._source?.close();
    this._source = api.changes({ db: state.db, prefix: typedBytes(this._prefix.value) });
    this._source.addEventListener("open", () => this._say());
    this._source.addEventListener("message", (event) => this._take(JSON.parse(event.data)));
    this._source.addEventListener("gone", () => this._say("The server has dropped what was still to be told."));
    this._source.addEventListener("error", () => this._say(this._source?.readyState === EventSource.CLOSED ? "The server refuses the feed: reload this page, or log in again." : "The connection is lost. Connecting again…"));
    this._say("Connecting…");
  }

  stop() {
    this._source?.close();
    this._list.close();
  }

  /** @param {Told} told */
  _take(told) {
    this._seen += 1;
    this._waiting.push(told);
    // A hidden page draws no frame: without a bound what waits would grow for ever.
    if (this._waiting.length > KEPT) this._waiting.splice(0, this._waiting.length - KEPT), (this._dropped += 1);
    if (this._waiting.length === 1) requestAnimationFrame(() => this._draw());
  }

  _draw() {
    const taken = this._waiting.length > MOST_A_FRAME ? this._waiting.slice(-MOST_A_FRAME) : this._waiting;
    this._dropped += this._waiting.length - taken.length;
    this._waiting = [];
    this._told.push(...taken);
    if (this._told.length > KEPT) this._told.splice(0, this._told.length - KEPT);
    if (this._isPaused) return;
    this._list.count = this._told.length;
    this._say();
  }

  /** @param {string} [text] */
  _say(text) {
    const dropped = this._dropped ? `, ${plural(this._dropped, "dropped one", "dropped ones")} not shown` : "";
    const told = this._seen ? `${plural(this._seen, "change")} seen${dropped}` : "Nothing has changed since this page follows.";
    const next = text ?? told;
    if (this._said.textContent !== next) fill(this._said, next);
  }

  _togglePause() {
    this._isPaused = !this._isPaused;
    this._pause.setAttribute("aria-pressed", String(this._isPaused));
    fill(this._pause, this._isPaused ? "Go on" : "Pause");
    if (!this._isPaused) this._draw();
  }

  _clear() {
    this._told = [];
    this._seen = this._dropped = 0;
    this._draw();
  }

  /** @param {Told} told */
  _row(told) {
    const key = told.key_base64url !== undefined ? fromBase64Url(told.key_base64url) : told.key !== undefined ? utf8(told.key) : null;
    return el("div", { class: "feed-row", role: "listitem" },
      el("span", { class: "quiet", title: moment(told.time_ms) }, timeOfDay(told.time_ms)),
      el("span", { class: `op op-${told.operation}` }, told.operation),
      key ? el("a", { href: link({ db: told.db, key }), class: "name", tabindex: "-1" }, shown(key, 120)) : el("span", {}, "the whole database"),
      el("span", { class: "quiet" }, [told.user, told.client].filter(Boolean).join(" · ")));
  }
}

const perSecond = (/** @type {number} */ value) => counted(Math.round(value));
const ms = (/** @type {number} */ value) => duration(value / 1000);
const percent = (/** @type {number} */ value) => `${(value * 100).toFixed(1)} %`;

/**
 * How much more it has become over the chart. @param {(number | null)[]} values
 */
function growth(values) {
  const more = (values.at(-1) ?? 0) - (values[0] ?? 0);
  return `${more < 0 ? "−" : "+"}${size(Math.abs(more))} in ${span(values.length)}`;
}

/**
 * Charts: title, notation, lines by the names of /v1/statistics, and what else is said of the first line.
 * @type {[string, (value: number) => string, [string, string][], ((values: (number | null)[]) => string)?][]}
 */
const CHARTS = [
  ["Operations a second", perSecond, [["", "operations_per_s"]]],
  ["Time until on disk", ms, [["p50", "commit_p50_ms"], ["p99", "commit_p99_ms"]]],
  ["Hit rate", percent, [["", "hit_rate"]]],
  ["Memory", size, [["", "memory_bytes"]], growth],
  ["On disk", size, [["all", "stored_bytes"], ["history", "history_bytes"]], growth],
  ["Connections", perSecond, [["", "connections"]]],
  ["Time of an fsync", ms, [["p50", "fsync_p50_ms"], ["p99", "fsync_p99_ms"]]],
  ["Not yet on disk", ms, [["", "durable_lag_ms"]]],
  ["Wait for the loop", ms, [["", "loop_lag_ms"]]],
];

class Charts {
  constructor() {
    this._charts = CHARTS.map(([title, format, , remark]) => new Chart({ title, format, remark, top: title === "Hit rate" ? 1 : undefined }));
    this._trouble = el("p", { class: "trouble", role: "status" });
    this.element = el("section", { "aria-label": "The last minutes" }, this._trouble, el("div", { class: "charts" }, this._charts.map((chart) => chart.element)));
  }

  start() {
    this._abort = new AbortController();
    this._load();
  }

  async _load() {
    try {
      const statistics = await api.statistics(this._abort?.signal);
      const seconds = series(statistics);
      // What a cluster has no figures of has no chart.
      CHARTS.forEach(([, , lines], place) => { this._charts[place].element.hidden = !lines.some(([, name]) => name in statistics.samples || (name === "hit_rate" && "hits_per_s" in statistics.samples)); });
      CHARTS.forEach(([, , lines], place) => this._charts[place].show(lines.map(([label, name]) => ({ label, values: seconds(name) }))));
      fill(this._trouble);
    } catch (error) {
      if (this._abort?.signal.aborted) return;
      fill(this._trouble, /** @type {Error} */ (error).message);
    }
    this._timer = setTimeout(() => this._load(), POLL_MS);
  }

  stop() {
    clearTimeout(this._timer);
    this._abort?.abort();
  }
}

/** @param {any} statistics @returns {(name: string) => (number | null)[]} */
function series({ samples }) {
  const rates = () => (samples.hits_per_s ?? []).map((/** @type {number} */ hits, /** @type {number} */ at) => (hits + samples.misses_per_s[at] ? hits / (hits + samples.misses_per_s[at]) : null));
  return (name) => (name === "hit_rate" ? rates() : (samples[name] ?? []));
}
