// The server: how it is, who is connected, what was slow, how it is configured, and its log.

import { el, fill } from "../elements.js";
import { link } from "../router.js";
import { isCluster, mayAdminister } from "../state.js";
import { showBackups } from "./server_backups.js";
import { showClients } from "./server_clients.js";
import { showConfiguration } from "./server_configuration.js";
import { showLog } from "./server_log.js";
import { showOverview } from "./server_overview.js";
import { showSlowLog } from "./server_slow_log.js";

/** A page fills its place and returns what ends it. @typedef {(place: HTMLElement) => () => void} ServerPage */

/** @type {Record<string, {title: string, show: ServerPage, isForAdministrators?: boolean, isForStores?: boolean}>} */
const PAGES = {
  overview: { title: "Overview", show: showOverview },
  clients: { title: "Clients", show: showClients, isForAdministrators: true },
  "slow-log": { title: "Slow log", show: showSlowLog, isForAdministrators: true },
  configuration: { title: "Configuration", show: showConfiguration, isForAdministrators: true },
  log: { title: "Log and recovery", show: showLog, isForStores: true },
  backups: { title: "Backups", show: showBackups, isForStores: true },
};

const pagesHere = () => Object.fromEntries(Object.entries(PAGES).filter(([, page]) => !page.isForStores || !isCluster()));

/** @param {HTMLElement} place @param {import("../router.js").Route} first @returns {import("../main.js").View} */
export function showServer(place, first) {
  const tabs = el("nav", { class: "tabs", "aria-label": "Server" });
  const body = el("div", { class: "stack" });
  let leave = () => {};
  fill(place, el("div", { class: "page" }, el("header", {}, el("h1", {}, "Server")), tabs, body));
  update(first);
  return { update, leave: () => leave() };

  /** @param {import("../router.js").Route} route */
  function update(route) {
    const pages = pagesHere();
    const name = route.rest in pages ? route.rest : "overview";
    leave();
    fill(tabs, Object.entries(pages).filter(([, page]) => !page.isForAdministrators || mayAdminister()).map(([each, page]) =>
      el("a", { href: link({ view: "server", rest: each }), "aria-current": each === name ? "page" : undefined }, page.title)));
    tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    fill(body);
    leave = PAGES[name].show(body);
  }
}
