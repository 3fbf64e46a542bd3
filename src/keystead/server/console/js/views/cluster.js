// The cluster behind the server: who serves which slots, how each node is, how it was over the last minutes, what happened;
// and what there cannot be in front of a cluster, and why: the one place that says so.

import { el, fill } from "../elements.js";
import { Chart } from "../parts/charts.js";
import { EVERY_S, sampling, slotsOf } from "../parts/cluster_samples.js";
import { counted, plural, size, timeOfDay } from "../parts/figures.js";
import { table, troublePlace } from "../parts/page.js";
import { SLOTS, colourOf, slotRing, slotsInWords } from "../parts/slot_ring.js";

/** @typedef {import("../api.js").ClusterNode} Node @typedef {{number: number, primary: Node, replicas: Node[]}} Shard */

const perSecond = (/** @type {number} */ value) => counted(Math.round(value));

/** @type {[string, import("../parts/cluster_samples.js").Figure, (value: number) => string, boolean][]} with what only replicas have */
const CHARTS = [
  ["Operations a second", "ops_per_second", perSecond, false],
  ["Memory", "used_memory_bytes", size, false],
  ["Behind its primary", "lag_bytes", size, true],
];

/** @type {[string, string][]} */
const NOT_HERE = [
  ["History, undo, the recycle bin, a moment of the past, differences", "They are read from Keystead's log. The nodes of a cluster keep no past, so there is none to show. A change made here still offers its way back, by the value that the page had read."],
  ["A feed of changes", "It tells what became durable in the log, and goes on where a reader left. The nodes have nothing that could be resumed."],
  ["Keys in order, folders, exact counts, bulk delete by prefix", "Each node keeps its keys in the order of a hash table and knows no prefix; they are read by SCAN, part by part. A key that is being moved may be seen twice, or be missed."],
  ["Memory by folder", "It would take a look at every key of every node."],
  ["Checkpoint, verification, backups", "They are of the log. Save and copy the nodes' own files instead, or move the data to a store by keystead migrate."],
  ["Other databases", "A cluster has database 0 only."],
];

/** @param {HTMLElement} place @returns {import("../main.js").View} */
export function showCluster(place) {
  const trouble = troublePlace();
  const state = el("p", { role: "status", class: "cluster-state" }, "Loading…");
  const picture = el("section", { class: "card cluster-picture", "aria-label": "Slots and nodes" });
  const nodes = el("section", { "aria-label": "Nodes" });
  const chosen = el("select", { "aria-label": "Nodes in the charts", onchange: () => drawCharts() });
  const charts = CHARTS.map(([title, , format]) => new Chart({ title, format, everyS: EVERY_S }));
  const happened = el("ol", { class: "happened", "aria-label": "What happened, newest first" });
  let drawn = "";
  let offered = "";
  fill(place, el("div", { class: "page" }, el("header", {}, el("h1", {}, "Cluster")), trouble, state, picture,
    el("h2", {}, "Nodes"), nodes,
    el("div", { class: "row" }, el("h2", {}, "The last minutes"), el("span", { class: "quiet" }, "as this page has seen them"), el("span", { class: "grow" }), chosen),
    el("div", { class: "charts" }, charts.map((chart) => chart.element)),
    el("section", { class: "card stack", "aria-label": "What happened" }, el("h2", {}, "What happened"), happened),
    notHere()));
  const forget = sampling.watch(draw);
  if (sampling.cluster || sampling.problem) draw();
  return { leave: () => { forget(); } };

  function draw() {
    const { cluster, problem } = sampling;
    fill(trouble, problem?.message);
    if (!cluster) return;
    const shards = shardsOf(cluster.nodes);
    fill(state, ...stateInWords(cluster));
    const next = JSON.stringify(cluster);
    if (next !== drawn) {
      fill(picture, slotRing(shards.filter(({ number }) => number).map(({ number, primary }) => ({ number, address: primary.address, slots: primary.slots, isFailed: primary.health === "failed" })), cluster.slots_covered),
        el("div", { class: "shards" }, shards.map(shardBox)));
      refill(nodes, nodeTable(shards));
      drawChoice(shards);
    }
    drawn = next;
    drawCharts();
    fill(happened, sampling.happened.length ? sampling.happened.map(({ time_ms: time, text, isTrouble }) =>
      el("li", {}, el("time", { class: "quiet" }, timeOfDay(time)), el("span", { class: isTrouble ? "trouble" : "" }, text))) : el("li", { class: "quiet" }, "Nothing since this page was opened."));
  }

  /** @param {Shard[]} shards */
  function drawChoice(shards) {
    const before = chosen.value;
    const all = shards.flatMap(({ primary, replicas }) => [primary, ...replicas]);
    if (all.map(({ id }) => id).join() === offered) return; // a list that is open must not be taken away
    offered = all.map(({ id }) => id).join();
    fill(chosen, el("option", { value: "" }, "All nodes"), all.map(({ id, address }) => el("option", { value: id }, address)));
    chosen.value = all.some(({ id }) => id === before) ? before : "";
  }

  function drawCharts() {
    const shards = shardsOf(sampling.cluster?.nodes ?? []);
    CHARTS.forEach(([, figure, , isOfReplicas], place) => {
      const shown = shards.flatMap(({ number, primary, replicas }) => [primary, ...replicas].map((node) => ({ number, node })))
        .filter(({ node }) => (chosen.value ? node.id === chosen.value : !isOfReplicas || node.role === "replica"));
      charts[place].show(shown.map(({ number, node }) => ({
        label: shown.length > 1 ? node.address : "", values: sampling.figures(node.id, figure),
        look: `${colourOf(number)}${node.role === "replica" ? " of-replica" : ""}`,
      })));
    });
  }
}

/** The same with another table, which is scrolled and has the focus as the one before. @param {HTMLElement} place @param {HTMLElement} content */
function refill(place, content) {
  const before = place.firstElementChild;
  const hasFocus = before !== null && before === document.activeElement;
  const left = before?.scrollLeft ?? 0;
  fill(place, content);
  content.scrollLeft = left;
  if (hasFocus) content.focus();
}

/**
 * Those that serve slots, by the lowest one, each with its replicas; behind them as number 0 whoever belongs to none: a
 * primary without slots, as a failed one is when its replica has taken over, and what follows such a one.
 * @param {Node[]} nodes @returns {Shard[]}
 */
function shardsOf(nodes) {
  const heads = nodes.filter(({ slots }) => slots.length).sort((left, right) => left.slots[0][0] - right.slots[0][0]);
  const shards = heads.map((primary, place) => ({ number: place + 1, primary, replicas: nodes.filter((node) => node !== primary && node.primary === primary.id) }));
  const placed = new Set(shards.flatMap(({ primary, replicas }) => [primary, ...replicas]));
  return [...shards, ...nodes.filter((node) => !placed.has(node)).map((primary) => ({ number: 0, primary, replicas: [] }))];
}

/** @param {import("../api.js").Cluster} cluster */
function stateInWords({ state, detail, acknowledge, slots_covered: covered, nodes }) {
  const ill = nodes.filter(({ health }) => health !== "online").length;
  const promise = acknowledge === "replicated" ? "a write is acknowledged when a replica has it too" : "a write is acknowledged when its primary has it";
  return [
    el("strong", { class: state === "ok" ? "is-well" : "trouble" }, state === "ok" ? "Every slot is served" : `Not all is served: ${detail}`),
    el("span", { class: "quiet" }, `${counted(covered)} of ${counted(SLOTS)} slots, ${plural(nodes.length, "node")}${ill ? `, ${ill} not well` : ""}; ${promise}.`),
  ];
}

/** @param {Shard} shard */
function shardBox({ number, primary, replicas }) {
  if (!number) return el("section", { class: "shard", "aria-label": `${primary.address}, without slots` }, el("h3", {}, el("span", { class: `swatch ${colourOf(0)}` }), "Serves no slots"), nodeBox(primary));
  const share = slotsOf(primary) / SLOTS;
  const isAlone = !replicas.some(({ health }) => health === "online");
  return el("section", { class: "shard", "aria-label": `Shard ${number}` },
    el("h3", {}, el("span", { class: `swatch ${colourOf(number)}` }), `Shard ${number}`, el("span", { class: "quiet" }, ` ${(share * 100).toFixed(1)} %`)),
    el("p", { class: "quiet mono" }, `slots ${slotsInWords(primary.slots)}`),
    nodeBox(primary), replicas.map(nodeBox), isAlone && el("p", { class: "trouble" }, "No replica is well: if this node dies, nobody serves its slots."));
}

/** @param {Node} node */
function nodeBox(node) {
  const memory = memoryInWords(node);
  return el("div", { class: ["node", `is-${node.health}`, `of-${node.role}`] },
    el("span", { class: "name" }, node.address), el("span", { class: "badge" }, node.role), healthOf(node),
    el("span", { class: "quiet node-facts" }, [memory, node.keys !== null && `${counted(node.keys)} keys`, node.role === "replica" && node.lag_bytes !== null && `${size(node.lag_bytes)} behind`].filter(Boolean).join(" · ")),
    node.used_memory_bytes !== null && node.max_memory_bytes ? el("progress", { max: String(node.max_memory_bytes), value: node.used_memory_bytes, "aria-label": `Memory of ${node.address}` }) : null);
}

/** @param {Node} node */
const healthOf = ({ health }) => el("span", { class: `health is-${health}` }, health);

/** @param {Node} node */
function memoryInWords({ used_memory_bytes: used, max_memory_bytes: most }) {
  if (used === null) return "–";
  return most ? `${size(used)} of ${size(most)}` : size(used);
}

/** @param {Shard[]} shards */
function nodeTable(shards) {
  const figure = (/** @type {number | null} */ value, format = counted) => (value === null ? "–" : format(value));
  const rows = shards.flatMap(({ number, primary, replicas }) => [primary, ...replicas].map((node) => [
    el("span", { class: "mono" }, node.address), el("span", {}, el("span", { class: `swatch ${colourOf(number)}` }), `${number || "no slots,"} ${node.role}`), healthOf(node),
    node.slots.length ? counted(slotsOf(node)) : "–", figure(node.keys), memoryInWords(node), figure(node.clients), figure(node.ops_per_second, perSecond),
    node.role === "replica" ? figure(node.lag_bytes, size) : "–",
  ]));
  return table("Nodes of the cluster", ["Node", "Shard", "Health", "Slots", "Keys", "Memory", "Connections", "Operations a second", "Behind"], rows);
}

function notHere() {
  return el("section", { class: "card stack", "aria-label": "What is not here, and why" }, el("h2", {}, "What is not here, and why"),
    el("dl", { class: "not-here" }, NOT_HERE.map(([what, why]) => el("div", {}, el("dt", {}, what), el("dd", { class: "quiet" }, why)))));
}
