// The server at a glance, from INFO.

import * as api from "../api.js";
import { el, fill } from "../elements.js";
import { counted, size, span } from "../parts/figures.js";
import { factsGrid, infoOf, repeating, troublePlace } from "../parts/page.js";
import { state } from "../state.js";

const EVERY_MS = 2000;

/** @type {import("./server.js").ServerPage} */
export function showOverview(place) {
  const trouble = troublePlace();
  const facts = el("div", { class: "card" });
  const sections = el("div", { class: "stack" });
  fill(place, trouble, facts, sections);
  return repeating(async () => {
    const text = await api.command(state.db, "INFO");
    const info = infoOf(text);
    fill(facts, factsGrid([
      ["Version", info.keystead_version ?? info.redis_version],
      ["Runs for", span(Number(info.uptime_in_seconds))],
      ["Keys here", counted(await api.command(state.db, "DBSIZE"))],
      ["Memory", size(Number(info.used_memory))],
      ["Connections", counted(Number(info.connected_clients))],
      ["Operations a second", counted(Number(info.instantaneous_ops_per_sec ?? 0))],
      ["Commands so far", counted(Number(info.total_commands_processed))],
      ["Hits, misses", `${counted(Number(info.keyspace_hits))}, ${counted(Number(info.keyspace_misses))}`],
      ["Expired keys", counted(Number(info.expired_keys))],
    ]));
    if (!sections.querySelector("details[open]")) fill(sections, ...foldedSections(text));
  }, trouble, EVERY_MS);
}

/** @param {string} text */
function foldedSections(text) {
  return text.split(/^# /m).slice(1).map((section) => {
    const end = section.indexOf("\n");
    return el("details", { class: "card" }, el("summary", {}, section.slice(0, end).trim()), factsGrid(Object.entries(infoOf(section))));
  });
}
