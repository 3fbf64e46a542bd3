// The log: how large it is, what was found at the last start, a checkpoint now, a verification now.

import * as api from "../api.js";
import { button, el, fill } from "../elements.js";
import { moment, plural, size } from "../parts/figures.js";
import { notice, reporting } from "../parts/notices.js";
import { factsGrid, infoOf, repeating, troublePlace } from "../parts/page.js";
import { mayAdminister, state } from "../state.js";

const EVERY_MS = 1500;

/** @type {import("./server.js").ServerPage} */
export function showLog(place) {
  const trouble = troublePlace();
  const facts = el("div", { class: "card" });
  const checked = el("section", { class: "card", "aria-label": "Verification" });
  const recovered = el("section", { class: "card", "aria-label": "Last recovery" });
  fill(place, trouble, facts, el("div", { class: "two" }, checked, recovered));
  const load = async () => {
    const info = infoOf(await api.command(state.db, "INFO", "persistence"));
    fill(facts, factsGrid(logFacts(info)), mayAdminister() && el("div", { class: "row" }, button("Make a checkpoint now", checkpoint)));
    const { verification, recovery } = told(await api.verification());
    if (!checked.contains(document.activeElement) || !verification.running) fill(checked, ...verificationFacts(verification));
    fill(recovered, el("h2", {}, "Last recovery"), recovery ? factsGrid(Object.entries(recovery).map(([name, value]) => [name.replaceAll("_", " "), figure(name, value)])) : el("p", { class: "quiet" }, "The store was new."));
  };
  return repeating(load, trouble, EVERY_MS);

  /** @param {any} verification */
  function verificationFacts(verification) {
    const { running, last } = verification;
    const done = verification.bytes_total ? verification.bytes_done / verification.bytes_total : 0;
    return [
      el("h2", {}, "Verification"),
      el("p", { class: "quiet" }, "Every checksum of the sealed files is read again, by another process at low priority."),
      running && el("progress", { max: "1", value: done, "aria-label": "Verified" }),
      last && factsGrid(Object.entries(last).map(([name, value]) => [name.replaceAll("_", " "), figure(name, value)])),
      !running && mayAdminister() && el("div", { class: "row" }, button("Verify the log now", verify, { class: "primary" })),
    ];
  }

  async function verify() {
    await reporting(async () => {
      await api.verify();
      await load();
    });
  }

  async function checkpoint() {
    await reporting(async () => {
      const reply = await api.command(state.db, "BGREWRITEAOF");
      notice(`${reply}.`);
    });
  }
}

/** @param {any} answer */
const told = (answer) => ({ verification: answer.verification ?? answer, recovery: answer.recovery ?? null });

/** @param {string} name @param {any} value */
function figure(name, value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number" && name.endsWith("_ms") && value > 1e12) return moment(value);
  if (typeof value === "number" && name.endsWith("bytes")) return size(value);
  if (Array.isArray(value)) return value.length ? value.map((each) => (typeof each === "object" ? JSON.stringify(each) : String(each))).join(", ") : "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** @param {Record<string, string>} info @returns {[string, string][]} */
function logFacts(info) {
  const bytes = (/** @type {string} */ name) => (info[name] === undefined ? "–" : size(Number(info[name])));
  return [
    ["Log on disk", bytes("aof_current_size")],
    ["At the last checkpoint", bytes("aof_base_size")],
    ["Checkpoint", info.aof_rewrite_in_progress === "1" ? "is being made" : "none is being made"],
    ["Last checkpoint", info.aof_last_bgrewrite_status ?? "–"],
    ["Last write", info.aof_last_write_status ?? "–"],
    ["Delayed fsyncs", plural(Number(info.aof_delayed_fsync ?? 0), "time")],
  ];
}
