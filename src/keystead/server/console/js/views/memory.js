// Where the bytes are: every folder with its exact keys and bytes, as a treemap and as a table.

import * as api from "../api.js";
import { bytesOf, fromPercent, percent, shown } from "../bytes.js";
import { el, fill } from "../elements.js";
import { counted, plural, size } from "../parts/figures.js";
import { treemap } from "../parts/treemap.js";
import { go, link } from "../router.js";
import { state } from "../state.js";

/** @param {HTMLElement} place @param {import("../router.js").Route} first @returns {import("../main.js").View} */
export function showMemory(place, first) {
  const crumbs = el("nav", { class: "row", "aria-label": "Folder" });
  const said = el("p", { role: "status", class: "quiet" });
  const map = el("div", {});
  let abort = new AbortController();
  fill(place, el("div", { class: "page" }, el("header", {}, el("h1", {}, "Memory"), el("p", { class: "quiet" }, "Every key is counted: nothing is sampled.")), crumbs, said, map));
  load(first);
  return {
    update: load,
    leave: () => abort.abort(),
  };

  /** @param {import("../router.js").Route} route */
  async function load(route) {
    abort.abort();
    abort = new AbortController();
    const { signal } = abort;
    const prefix = fromPercent(route.rest);
    fill(crumbs, steps(prefix));
    fill(said, "Counting…");
    try {
      const answer = await api.memory(state.db, prefix, state.delimiter, signal);
      if (!signal.aborted) show(answer, prefix);
    } catch (error) {
      if (!signal.aborted) fill(said, el("span", { class: "trouble" }, /** @type {Error} */ (error).message)), fill(map);
    }
  }

  /** @param {any} answer @param {Uint8Array} prefix */
  function show(answer, prefix) {
    const items = [...(answer.items ?? answer.folders)].sort((left, right) => right.bytes - left.bytes);
    const total = answer.bytes ?? items.reduce((sum, item) => sum + item.bytes, 0);
    const keys = answer.keys ?? items.reduce((sum, item) => sum + (item.keys ?? 1), 0);
    fill(said, `${size(total)} in ${plural(keys, "key")}`);
    if (!items.length) {
      fill(map, el("p", { class: "quiet" }, "There is nothing here."));
      return;
    }
    const rows = items.slice(0, 200).map((item) => {
      const name = bytesOf(item.name);
      const label = shown(name.subarray(prefix.length), 80) || shown(name, 80);
      const target = item.folder ? link({ view: "memory", rest: percent(name) }) : link({ key: name });
      return el("tr", {}, el("td", { class: "name" }, el("a", { href: target }, label)), el("td", { class: "figure" }, counted(item.keys ?? 1)), el("td", { class: "figure" }, size(item.bytes)), el("td", { class: "figure" }, `${((item.bytes / (total || 1)) * 100).toFixed(1)} %`));
    });
    fill(map,
      treemap(items.map((item) => {
        const name = bytesOf(item.name);
        return {
          label: shown(name.subarray(prefix.length), 60) || shown(name, 60), weight: item.bytes,
          told: `${size(item.bytes)}, ${plural(item.keys ?? 1, "key")}`,
          onclick: () => (item.folder ? go({ view: "memory", rest: percent(name) }) : go({ key: name })),
        };
      })),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Bytes by folder, as a table" },
        el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Folder or key"), ["Keys", "Bytes", "Share"].map((title) => el("th", { scope: "col", class: "figure" }, title)))), el("tbody", {}, rows))));
  }
}

/** The way from the top to a folder. @param {Uint8Array} prefix */
function steps(prefix) {
  const parts = [el("a", { href: link({ view: "memory" }) }, "all keys")];
  const written = percent(prefix);
  const delimiter = percent(new TextEncoder().encode(state.delimiter));
  for (let at = written.indexOf(delimiter); at >= 0; at = written.indexOf(delimiter, at + delimiter.length)) {
    const folder = written.slice(0, at + delimiter.length);
    const before = parts.length > 1 ? written.lastIndexOf(delimiter, at - 1) + delimiter.length : 0;
    parts.push(el("span", { "aria-hidden": "true", class: "quiet" }, "/"), el("a", { href: link({ view: "memory", rest: folder }), class: "name" }, shown(fromPercent(folder.slice(before)))));
  }
  return parts;
}
