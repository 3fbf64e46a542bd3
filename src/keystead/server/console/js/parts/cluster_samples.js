// The cluster as the page has seen it: the newest document, the figures of each node over the last minutes, and what
// happened meanwhile. Goes on while the page is open, whatever it shows. Must not know: how it is shown.

import * as api from "../api.js";

export const EVERY_S = 2;
const KEPT = 300; // ten minutes
const KEPT_EVENTS = 50;

/**
 * @typedef {"ops_per_second" | "used_memory_bytes" | "lag_bytes"} Figure
 * @typedef {{time_ms: number, text: string, isTrouble: boolean}} Happened
 */

/** @type {Figure[]} */
const FIGURES = ["ops_per_second", "used_memory_bytes", "lag_bytes"];

class Sampling {
  constructor() {
    this.cluster = /** @type {api.Cluster | null} */ (null);
    this.problem = /** @type {Error | null} */ (null);
    /** Newest first. @type {Happened[]} */
    this.happened = [];
    /** By node. @type {Map<string, Record<Figure, (number | null)[]>>} */
    this._figures = new Map();
    this._length = 0;
    /** @type {Set<() => void>} */
    this._listeners = new Set();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._timer = undefined;
    /** @type {AbortController | null} */
    this._abort = null;
  }

  start() {
    if (this._abort) return;
    this._abort = new AbortController();
    this._ask(this._abort);
  }

  stop() {
    clearTimeout(this._timer);
    this._abort?.abort();
    this._abort = null;
    this.cluster = null;
    this._figures.clear();
    this.happened = [];
    this._length = 0;
  }

  /** Be told of every sample. Returns what ends that. @param {() => void} listener */
  watch(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  /** Oldest first; as long for every node. @param {string} node @param {Figure} figure @returns {(number | null)[]} */
  figures(node, figure) {
    return this._figures.get(node)?.[figure] ?? [];
  }

  /** @param {AbortController} asking */
  async _ask(asking) {
    try {
      const cluster = await api.cluster(asking.signal);
      if (this.cluster) this.happened = [...changes(this.cluster, cluster), ...this.happened].slice(0, KEPT_EVENTS);
      this.cluster = cluster;
      this.problem = null;
      this._take(cluster.nodes);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.problem = /** @type {Error} */ (error);
      this._take([]);
    }
    if (asking.signal.aborted) return;
    for (const listener of [...this._listeners]) listener();
    this._timer = setTimeout(() => this._ask(asking), EVERY_S * 1000);
  }

  /** @param {api.ClusterNode[]} nodes */
  _take(nodes) {
    const known = new Map(nodes.map((node) => [node.id, node]));
    for (const { id } of nodes) {
      const nothing = () => /** @type {(number | null)[]} */ (Array(this._length).fill(null));
      if (!this._figures.has(id)) this._figures.set(id, { ops_per_second: nothing(), used_memory_bytes: nothing(), lag_bytes: nothing() });
    }
    for (const [id, figures] of this._figures) {
      for (const figure of FIGURES) figures[figure] = [...figures[figure], known.get(id)?.[figure] ?? null].slice(-KEPT);
    }
    this._length = Math.min(KEPT, this._length + 1);
  }
}

/** The one of this page. */
export const sampling = new Sampling();

/** What is not as it was. @param {api.Cluster} before @param {api.Cluster} after @returns {Happened[]} */
function changes(before, after) {
  /** @type {Happened[]} */
  const found = [];
  const tell = (/** @type {string} */ text, isTrouble = false) => found.push({ time_ms: Date.now(), text, isTrouble });
  const was = new Map(before.nodes.map((node) => [node.id, node]));
  for (const node of after.nodes) {
    const earlier = was.get(node.id);
    was.delete(node.id);
    if (!earlier) tell(`${node.address} has joined.`);
    else {
      if (earlier.health !== node.health) tell(`${node.address} is ${node.health === "online" ? "online again" : node.health}.`, node.health !== "online");
      if (earlier.role !== node.role) tell(`${node.address} is a ${node.role} now.`);
      else if (node.role === "primary" && slotsOf(earlier) !== slotsOf(node)) tell(`${node.address} serves ${slotsOf(node)} slots now, ${slotsOf(earlier)} before.`);
    }
  }
  for (const node of was.values()) tell(`${node.address} has left.`, true);
  if (before.state !== after.state) tell(after.state === "ok" ? "The cluster is served as a whole again." : `Not all is served: ${after.detail}`, after.state !== "ok");
  return found.reverse();
}

/** @param {api.ClusterNode} node */
export const slotsOf = (node) => node.slots.reduce((sum, [first, last]) => sum + last - first + 1, 0);
