// Settings: those that can change while the server runs are edited here, the others shown. Secrets are not shown.

import * as api from "../api.js";
import { button, el, field, fill } from "../elements.js";
import { ask } from "../parts/dialog.js";
import { notice } from "../parts/notices.js";
import { repeating, table, troublePlace } from "../parts/page.js";
import { state } from "../state.js";

const HIDDEN = "••••••";

/** @typedef {{name: string, description: string, group: string, reloadable: boolean, secret: boolean}} Setting */

/** @type {import("./server.js").ServerPage} */
export function showConfiguration(place) {
  const trouble = troublePlace();
  const search = el("input", { type: "search", "aria-label": "Search settings", placeholder: "Search settings", oninput: () => draw() });
  const body = el("div", {});
  /** @type {Setting[]} */
  let settings = [];
  /** @type {Record<string, string>} */
  let values = {};
  const load = async () => {
    const [reference, current] = await Promise.all([api.reference(), api.command(state.db, "CONFIG", "GET", "*")]);
    settings = reference.settings.sort((/** @type {Setting} */ left, /** @type {Setting} */ right) => (left.name < right.name ? -1 : 1));
    values = current;
    draw();
  };
  fill(place, el("div", { class: "row" }, search, el("span", { class: "quiet" }, "A change holds until the server stops; the configuration file is left alone. What has no button takes a restart.")), trouble, body);
  return repeating(load, trouble);

  function draw() {
    const typed = search.value.toLowerCase();
    const found = settings.filter(({ name, description }) => name in values && `${name} ${description}`.toLowerCase().includes(typed));
    fill(body, table("Settings", ["Setting", "Value", ""], found.map((setting) => [
      el("div", { class: "setting-told" }, el("code", {}, setting.name), el("br"), el("small", {}, setting.description)), shownValue(setting),
      setting.reloadable && button("Change", () => edit(setting), { "aria-label": `Change ${setting.name}` }),
    ])));
  }

  /** @param {Setting} setting */
  function shownValue({ name, secret }) {
    const value = values[name];
    return value ? el("span", { class: "name" }, secret ? HIDDEN : value) : el("span", { class: "quiet" }, "empty");
  }

  /** @param {Setting} setting */
  async function edit({ name, description, secret }) {
    const value = values[name];
    const typed = el("input", { type: secret ? "password" : "text", value: secret ? "" : value, autofocus: true, spellcheck: "false", autocomplete: "off" });
    const set = async () => {
      await api.command(state.db, "CONFIG", "SET", name, typed.value);
      return true;
    };
    if (!(await ask({ title: `Change ${name}`, content: [field("Value", typed, description)], answers: [{ label: "Set", kind: "primary", run: set }] }))) return;
    const undo = async () => {
      await api.command(state.db, "CONFIG", "SET", name, value);
      await load();
    };
    notice(secret ? `${name} is changed.` : `${name} is now ${typed.value || "empty"}.`, { action: { label: "Undo", run: undo } });
    await load();
  }
}
