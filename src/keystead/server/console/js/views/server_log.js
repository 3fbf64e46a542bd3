// The log: how large it is, what was found at the last start, a checkpoint now, a verification now.

import * as api from "../api.js";
import { button, el, fill } from "../elements.js";
import { counted, duration, moment, plural, size, span } from "../parts/figures.js";
import { notice, reporting } from "../parts/notices.js";
import { factsGrid, infoOf, repeating, troublePlace } from "../parts/page.js";
import { mayAdminister, state } from "../state.js";

const EVERY_MS = 1500;

/** @type {import("./server.js").ServerPage} */
export function showLog(place) {
  const trouble = troublePlace();
  const facts = el("section", { class: "card", "aria-label": "Log" });
  const past = el("section", { class: "card", "aria-label": "History" });
  const checked = el("section", { class: "card", "aria-label": "Verification" });
  const recovered = el("section", { class: "card", "aria-label": "Last start" });
  fill(place, trouble, facts, past, el("div", { class: "two" }, checked, recovered));
  const load = async () => {
    const info = infoOf(await api.command(state.db, "INFO", "persistence"));
    fill(facts, factsGrid(logFacts(info)), mayAdminister() && el("div", { class: "row" }, button("Make a checkpoint now", checkpoint)));
    fill(past, el("h2", {}, "History"), factsGrid(historyFacts(infoOf(await api.command(state.db, "INFO", "history")))));
    const { running, last, recovery } = await api.verification();
    fill(checked, ...verificationFacts(running, last));
    fill(recovered, el("h2", {}, "Last start"), factsGrid([
      ["When", moment(recovery.at_ms)], ["Keys read", counted(recovery.keys)], ["Took", duration(recovery.took_s)],
      ["Torn tail", recovery.torn_bytes ? `${size(recovery.torn_bytes)} never acknowledged, kept in *.broken` : "none"],
    ]));
  };
  return repeating(load, trouble, EVERY_MS);

  /** @param {boolean} running @param {any} last the run that goes on, or the last one */
  function verificationFacts(running, last) {
    const done = last?.total_bytes ? last.done_bytes / last.total_bytes : 0;
    return [
      el("h2", {}, "Verification"),
      el("p", { class: "quiet" }, "Every file of the log is read again and compared with its checksums, by another process at low priority."),
      running && el("progress", { max: "1", value: done, "aria-label": "Verified" }),
      last && factsGrid([
        ["Result", running ? "still reading" : el("strong", { class: last.result === "sound" ? "" : "trouble" }, last.result)],
        ["Begun", moment(last.began_ms)], ["Read", `${size(last.done_bytes)} of ${size(last.total_bytes)}`], ["Files", counted(last.files)],
      ]),
      ...(last?.damage ?? []).map((/** @type {any} */ each) => el("p", { class: "trouble" }, `${each.file} at ${counted(each.offset)}: ${each.reason}`)),
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

/** @param {Record<string, string>} info @returns {[string, string][]} */
function historyFacts(info) {
  const number = (/** @type {string} */ name) => Number(info[name]);
  const oldest = number("history_oldest_time_ms");
  const left = number("history_next_drop_sec");
  return [
    ["Reaches back to", oldest ? moment(oldest) : "the first transaction"],
    ["Transactions", `${counted(number("history_first_sequence"))} to ${counted(number("history_last_sequence"))}`],
    ["Takes on disk", `${size(number("history_bytes"))} in ${plural(number("history_generations") - 1, "older generation")}`],
    ["Its index", size(number("history_index_bytes"))],
    ["Kept for (history-max-age)", span(number("history_max_age_sec"))],
    ["At most (history-max-bytes)", size(number("history_max_bytes"))],
    ["Next to go", left < 0 ? "nothing" : `${size(number("history_next_drop_bytes"))} in ${span(left)}`],
  ];
}
