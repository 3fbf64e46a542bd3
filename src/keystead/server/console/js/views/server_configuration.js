// Settings: those that can change while the server runs are edited here, the others shown.

import * as api from "../api.js";
import { button, el, field, fill } from "../elements.js";
import { ask } from "../parts/dialog.js";
import { notice } from "../parts/notices.js";
import { repeating, table, troublePlace } from "../parts/page.js";
import { state } from "../state.js";

/** @type {import("./server.js").ServerPage} */
export function showConfiguration(place) {
  const trouble = troublePlace();
  const search = el("input", { type: "search", "aria-label": "Search settings", placeholder: "Search settings", oninput: () => draw() });
  const body = el("div", {});
  /** @type {Record<string, string>} */
  let settings = {};
  const load = async () => {
    settings = await api.command(state.db, "CONFIG", "GET", "*");
    draw();
  };
  fill(place, el("div", { class: "row" }, search, el("span", { class: "quiet" }, "A change holds until the server stops; the configuration file is left alone.")), trouble, body);
  return repeating(load, trouble);

  function draw() {
    const found = Object.entries(settings).filter(([name]) => name.includes(search.value.toLowerCase())).sort(([left], [right]) => (left < right ? -1 : 1));
    fill(body, table("Settings", ["Setting", "Value", ""], found.map(([name, value]) => [
      el("code", {}, name), el("span", { class: "name" }, value || el("span", { class: "quiet" }, "empty")), button("Change", () => edit(name, value), { "aria-label": `Change ${name}` }),
    ])));
  }

  /** @param {string} name @param {string} value */
  async function edit(name, value) {
    const typed = el("input", { value, autofocus: true, spellcheck: "false", autocomplete: "off" });
    const set = async () => {
      await api.command(state.db, "CONFIG", "SET", name, typed.value);
      return true;
    };
    if (!(await ask({ title: `Change ${name}`, content: [field("Value", typed)], answers: [{ label: "Set", kind: "primary", run: set }] }))) return;
    notice(`${name} is now ${typed.value || "empty"}.`, { action: { label: "Undo", run: async () => { await api.command(state.db, "CONFIG", "SET", name, value); await load(); } } });
    await load();
  }
}
