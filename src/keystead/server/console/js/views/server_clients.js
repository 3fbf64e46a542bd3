// Who is connected, and ending a connection.

import * as api from "../api.js";
import { button, el, fill } from "../elements.js";
import { confirmed } from "../parts/dialog.js";
import { plural, size, span } from "../parts/figures.js";
import { notice, reporting } from "../parts/notices.js";
import { repeating, table, troublePlace } from "../parts/page.js";
import { state } from "../state.js";

const EVERY_MS = 3000;

/** @type {import("./server.js").ServerPage} */
export function showClients(place) {
  const trouble = troublePlace();
  const said = el("p", { class: "quiet", role: "status" });
  const body = el("div", {});
  fill(place, trouble, said, body);
  const load = async () => {
    const text = await api.command(state.db, "CLIENT", "LIST");
    const clients = text.trim().split("\n").filter(Boolean).map(fields);
    fill(said, plural(clients.length, "connection"));
    if (body.contains(document.activeElement)) return; // a button that has the focus must not be taken away
    fill(body, table("Connections", ["Address", "Name", "User", "For", "Idle", "Last command", "Memory", ""], clients.map((client) => [
      el("span", { class: "mono" }, client.addr), client.name, client.user, span(Number(client.age)), span(Number(client.idle)), client.cmd, client["tot-mem"] && size(Number(client["tot-mem"])),
      button("End", () => end(client), { class: "danger-quiet", "aria-label": `End the connection ${client.addr}` }),
    ])));
  };
  return repeating(load, trouble, EVERY_MS);

  /** @param {Record<string, string>} client */
  async function end(client) {
    if (!(await confirmed("End this connection?", `${client.addr}${client.name ? ` (${client.name})` : ""} is cut off. Most clients connect again by themselves.`, "End it"))) return;
    await reporting(async () => {
      await api.command(state.db, "CLIENT", "KILL", "ID", client.id);
      notice(`The connection ${client.addr} is ended.`);
      /** @type {HTMLElement | null} */ (document.activeElement)?.blur();
      await load();
    });
  }
}

/** @param {string} line @returns {Record<string, string>} */
const fields = (line) => Object.fromEntries(line.split(" ").map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]));
