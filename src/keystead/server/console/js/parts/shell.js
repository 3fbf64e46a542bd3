// The frame around every view: navigation, database, appearance, who is logged in.

import { el, fill, icon, iconButton } from "../elements.js";
import { go, link } from "../router.js";
import { change, isCluster, state, watch } from "../state.js";
import { ask } from "./dialog.js";
import { notices } from "./notices.js";
import { openPalette } from "./palette.js";
import { showShortcuts } from "./shortcuts.js";

const THEMES = { auto: "as the system", light: "light", dark: "dark" };

/** Let the page look as was chosen. */
export function applyTheme() {
  document.documentElement.dataset.theme = state.theme;
}

/**
 * @param {Record<string, {title: string, icon: string}>} views @param {{logOut: () => void}} act
 */
export function shell(views, act) {
  const main = el("main", { class: "main", id: "main", tabindex: "-1" });
  const links = Object.entries(views).map(([name, view]) =>
    el("a", { href: link({ view: name, db: state.db }), "data-view": name }, icon(view.icon), el("span", {}, view.title)),
  );
  const nav = el("nav", { class: "nav", "aria-label": "Views" }, links);
  const element = el(
    "div",
    { class: "shell" },
    el("a", { class: "skip", href: "#main", onclick: toMain }, "Skip to the content"),
    el("header", { class: "top" },
      el("a", { class: "brand", href: link({ db: state.db }), "aria-label": "Keystead, keys" }, el("img", { src: "/console/icon.svg", alt: "", width: "24", height: "24" }), el("span", {}, "Keystead")),
      !isCluster() && databaseChoice(),
      el("button", { type: "button", class: "palette-button", "aria-label": "Find or do anything", onclick: () => openPalette(views), "aria-keyshortcuts": "Control+K" }, icon("search"), el("span", {}, "Find or do anything"), el("kbd", {}, "Ctrl K")),
      el("span", { class: "grow" }),
      iconButton("sun", "Appearance", nextTheme),
      el("button", { type: "button", class: "icon-button", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (?)", onclick: showShortcuts }, "?"),
      person(act.logOut),
    ),
    nav,
    main,
    notices(),
  );

  /** @param {Event} event */
  function toMain(event) {
    event.preventDefault();
    main.focus();
  }

  /** @param {string} name */
  function select(name) {
    for (const each of links) {
      each.setAttribute("href", link({ view: each.dataset.view, db: state.db }));
      if (each.dataset.view === name) each.setAttribute("aria-current", "page");
      else each.removeAttribute("aria-current");
    }
    main.setAttribute("aria-label", views[name].title);
  }

  return { element, main, select };
}

function nextTheme() {
  const names = /** @type {("auto" | "light" | "dark")[]} */ (Object.keys(THEMES));
  const theme = names[(names.indexOf(state.theme) + 1) % names.length];
  change({ theme });
  applyTheme();
  const button = document.querySelector('[aria-label^="Appearance"]');
  button?.setAttribute("title", `Appearance: ${THEMES[theme]}`);
}

function databaseChoice() {
  const choice = el("select", { "aria-label": "Database", onchange: () => go({ db: Number(choice.value), view: "keys" }) });
  const show = () => {
    const count = Math.max(16, state.db + 1);
    fill(choice, Array.from({ length: count }, (_, number) => el("option", { value: number }, `db ${number}`)));
    choice.value = String(state.db);
  };
  show();
  watch((names) => names.includes("db") && show());
  return choice;
}

/** @param {() => void} logOut */
function person(logOut) {
  const session = state.session;
  if (!session?.login_required) return null;
  const may = session.may_admin ? "may change everything" : session.may_write ? "may write" : "may only read";
  const show = () =>
    ask({
      title: session.user ?? "",
      content: [el("p", {}, `You are logged in as ${session.user}, who ${may}.`)],
      answers: [{ label: "Log out", kind: "primary", run: () => (logOut(), true) }],
      leave: "Close",
    });
  return el("button", { type: "button", class: "person", onclick: show }, icon("person"), el("span", {}, session.user), !session.may_write && el("span", { class: "badge" }, "read only"));
}
