// Commands that took long.

import * as api from "../api.js";
import { bytesOf, shown } from "../bytes.js";
import { button, el, fill } from "../elements.js";
import { duration, moment } from "../parts/figures.js";
import { reporting } from "../parts/notices.js";
import { repeating, table, troublePlace } from "../parts/page.js";
import { state } from "../state.js";

const EVERY_MS = 5000;
const COUNT = 128;

/** @type {import("./server.js").ServerPage} */
export function showSlowLog(place) {
  const trouble = troublePlace();
  const said = el("p", { class: "quiet", role: "status" });
  const body = el("div", {});
  const load = async () => {
    const threshold = (await api.command(state.db, "CONFIG", "GET", "slowlog-log-slower-than"))["slowlog-log-slower-than"];
    const entries = await api.command(state.db, "SLOWLOG", "GET", String(COUNT));
    fill(said, Number(threshold) < 0 ? "The slow log is off (slowlog-log-slower-than)." : `Commands that took longer than ${duration(Number(threshold) / 1e6)} (slowlog-log-slower-than).`);
    fill(body, entries.length
      ? table("Slow commands", ["When", "Took", "Command", "Client"], entries.map((/** @type {any} */ [, time, took, args, address, name]) => [
          moment(time * 1000), duration(took / 1e6), el("code", { class: "name" }, args.map((/** @type {any} */ arg) => shown(bytesOf(arg), 80)).join(" ")), [address, name].filter(Boolean).map((text) => shown(bytesOf(text))).join(" ")]))
      : el("p", {}, "No command was slow."));
  };
  const reset = () => reporting(async () => {
    await api.command(state.db, "SLOWLOG", "RESET");
    await load();
  });
  fill(place, el("div", { class: "row" }, said, el("span", { class: "grow" }), button("Forget them", reset)), trouble, body);
  return repeating(load, trouble, EVERY_MS);
}
