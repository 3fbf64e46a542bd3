// The command palette: keys by prefix, places and deeds by name.

import * as api from "../api.js";
import { bytesOf, shown, typedBytes } from "../bytes.js";
import { el, fill, icon } from "../elements.js";
import { go } from "../router.js";
import { change, isCluster, mayWrite, state } from "../state.js";

const MOST_KEYS = 8;

/** @typedef {{label: string, icon: string, hint?: string, run: () => void}} Choice */

/** @param {Record<string, {title: string, icon: string}>} views */
export function openPalette(views) {
  const input = el("input", { type: "text", role: "combobox", "aria-label": "Find or do anything", "aria-expanded": "true", "aria-controls": "palette-list", "aria-autocomplete": "list", placeholder: "A key's beginning, or a place", autocomplete: "off", spellcheck: "false" });
  const list = el("div", { id: "palette-list", role: "listbox", "aria-label": "Choices" });
  const dialog = el("dialog", { class: "palette", "aria-label": "Command palette" }, input, list);
  /** @type {Choice[]} */
  let choices = [];
  let active = 0;
  let asked = 0;

  const draw = () => {
    fill(list, choices.map((choice, index) =>
      el("div", { role: "option", id: `choice-${index}`, "aria-selected": String(index === active), onclick: () => take(index) },
        icon(choice.icon), el("span", {}, choice.label), choice.hint && el("small", {}, choice.hint))));
    if (choices.length) input.setAttribute("aria-activedescendant", `choice-${active}`);
    else input.removeAttribute("aria-activedescendant");
  };
  /** @param {number} index */
  const take = (index) => {
    dialog.close();
    choices[index]?.run();
  };
  const search = async () => {
    const typed = input.value;
    const mine = ++asked;
    choices = deeds(views).filter((deed) => deed.label.toLowerCase().includes(typed.toLowerCase()));
    active = 0;
    draw();
    if (!typed) return;
    const page = await api.keys({ db: state.db, prefix: typedBytes(typed), limit: MOST_KEYS }).catch(() => null);
    if (mine !== asked || !page) return;
    choices = [...page.items.map(keyChoice), ...choices];
    draw();
  };
  input.addEventListener("input", search);
  input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && choices.length) {
      active = (active + step + choices.length) % choices.length;
      draw();
      list.children[active].scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") take(active);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (/** @type {Event} */ event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  search();
}

/** @param {api.Item} item @returns {Choice} */
function keyChoice(item) {
  const key = bytesOf(item.name);
  return { label: shown(key), icon: "key", hint: "key", run: () => go({ key }) };
}

/** @param {Record<string, {title: string, icon: string}>} views @returns {Choice[]} */
function deeds(views) {
  const places = Object.entries(views).map(([view, { title, icon: name }]) => ({ label: title, icon: name, hint: "go to", run: () => go({ view }) }));
  const pages = ["overview", "clients", "slow log", "configuration", ...isCluster() ? [] : ["log", "backups"]].map((page) => ({
    label: `Server: ${page}`, icon: "server", hint: "go to", run: () => go({ view: "server", rest: page.replace(" ", "-") }),
  }));
  const looks = /** @type {const} */ (["auto", "light", "dark"]).map((theme) => ({
    label: `Appearance: ${theme}`, icon: "sun", run: () => {
      change({ theme });
      document.documentElement.dataset.theme = theme;
    },
  }));
  const create = mayWrite() ? [{ label: "New key", icon: "plus", run: () => go({ view: "keys", query: { new: "1" } }) }] : [];
  return [...create, ...places, ...pages, ...looks];
}
