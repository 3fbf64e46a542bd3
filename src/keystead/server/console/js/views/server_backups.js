// Backups: where there are some, how old and how large they are, whether one was verified; one taken or verified now.

import * as api from "../api.js";
import { button, el, fill } from "../elements.js";
import { counted, moment, plural, size, span } from "../parts/figures.js";
import { notice, reporting } from "../parts/notices.js";
import { factsGrid, repeating, table, troublePlace } from "../parts/page.js";
import { mayAdminister } from "../state.js";

const EVERY_MS = 1500;
const MOST_SHOWN = 30;

/** @typedef {import("../api.js").BackupPlace} BackupPlace @typedef {import("../api.js").BackupRun} BackupRun */

/** @type {import("./server.js").ServerPage} */
export function showBackups(place) {
  const trouble = troublePlace();
  const underWay = el("section", { class: "card", "aria-label": "Under way", hidden: true });
  const body = el("div", { class: "stack" });
  /** What is shown; drawn anew only when it changed, so that a button that has the focus keeps it. */
  let drawn = "";
  /** @type {string | null} when the newest run began of which this page knows */
  let told = null;
  fill(place, trouble, underWay, body);
  const load = async () => {
    const { places, looking, running, last } = await api.backups();
    underWay.hidden = !running;
    fill(underWay, running && runFacts(running));
    const run = last && `${last.began_ms} ${last.result}`;
    if (told !== null && last?.result && run !== told) tell(last);
    told = run ?? "";
    const next = JSON.stringify([places, looking, Boolean(running)]);
    if (next !== drawn) fill(body, ...places.length ? places.map((/** @type {BackupPlace} */ each) => placeCard(each, looking, Boolean(running))) : [noPlace()]);
    drawn = next;
  };
  return repeating(load, trouble, EVERY_MS);

  /** @param {BackupPlace} each @param {boolean} looking @param {boolean} isBusy */
  function placeCard(each, looking, isBusy) {
    const deeds = each.may_take && mayAdminister() && el("div", { class: "row" },
      button("Back up now", () => begin(() => api.takeBackup(each.place)), { class: "primary", disabled: isBusy, "aria-label": `Back up now to ${each.place}` }),
      each.snapshots?.length ? button("Verify the newest", () => begin(() => api.verifyBackup(each.place)), { disabled: isBusy, "aria-label": `Verify the newest backup in ${each.place}` }) : null);
    return el("section", { class: "card stack", "aria-label": `Backups in ${each.place}` },
      el("h2", { class: "name" }, each.place), factsGrid(placeFacts(each)), ...remarks(each, looking), deeds, each.snapshots?.length ? snapshotTable(each.place, each.snapshots) : null);
  }

  /** @param {() => Promise<unknown>} what */
  async function begin(what) {
    await reporting(async () => {
      await what();
      await load();
    });
  }
}

/** @param {BackupPlace} place @returns {[string, import("../elements.js").Child][]} */
function placeFacts({ remembered, snapshots, stored_bytes: stored, verified }) {
  const newest = snapshots?.at(-1);
  const takenMs = newest?.taken_ms ?? remembered?.time_ms;
  /** @type {[string, import("../elements.js").Child][]} */
  const facts = [
    ["Newest", takenMs ? `${span((Date.now() - takenMs) / 1000)} old` : "none"],
    ["Up to transaction", newest || remembered?.sequence ? counted(newest?.sequence ?? remembered?.sequence ?? 0) : "–"],
  ];
  if (snapshots === undefined) return facts;
  const soundness = verified ? `${verified.result}, ${moment(verified.ended_ms ?? 0)}` : "not since the server started";
  return [...facts, ["Backups", snapshots === null ? "…" : counted(snapshots.length)], ["Together", stored === null || stored === undefined ? "…" : size(stored)],
    ["Verified", verified?.damage.length ? el("strong", { class: "trouble" }, soundness) : soundness]];
}

/** @param {BackupPlace} place @param {boolean} looking */
function remarks(place, looking) {
  const damage = new Set([...(place.damage ?? []), ...(place.verified?.damage ?? [])]);
  return [
    place.remembered?.linked && el("p", {}, "These are hard links on the same disk: they outlive a deletion, not a disk that fails."),
    !place.may_take && el("p", { class: "quiet" }, "The store remembers that it was backed up here. It is not among backup-places, so only keystead backup sees what is there."),
    place.snapshots === null && looking && el("p", { class: "quiet" }, "Looking at what is there…"),
    place.failure && el("p", { class: "trouble" }, place.failure),
    ...[...damage].map((each) => el("p", { class: "trouble" }, each)),
  ];
}

/** @param {string} place @param {{id: string, taken_ms: number, sequence: number, bytes: number}[]} snapshots oldest first */
function snapshotTable(place, snapshots) {
  const shown = snapshots.slice(-MOST_SHOWN).reverse();
  const rest = snapshots.length - shown.length;
  const rows = shown.map((each) => [el("code", {}, each.id), moment(each.taken_ms), counted(each.sequence), size(each.bytes)]);
  return el("div", {}, table(`Snapshots in ${place}`, ["Snapshot", "Taken", "Up to transaction", "Size"], rows), rest > 0 && el("p", { class: "quiet" }, `and ${plural(rest, "older one", "older ones")}`));
}

/** @param {BackupRun} run */
function runFacts(run) {
  const done = run.total_bytes ? run.done_bytes / run.total_bytes : undefined;
  const what = run.deed === "take" ? "Taking a backup" : "Verifying the newest backup";
  return [
    el("h2", {}, what), el("p", { role: "status" }, `${run.place}: ${run.stage || "beginning"}`),
    el("progress", { max: "1", value: done, "aria-label": what }),
    el("p", { class: "quiet" }, run.total_bytes ? `${size(run.done_bytes)} of ${size(run.total_bytes)}` : ""),
  ];
}

/** @param {BackupRun} run that has ended */
function tell(run) {
  const texts = {
    taken: `A backup is taken in ${run.place}: ${size(run.copied_bytes)} copied.`,
    sound: `The newest backup in ${run.place} is sound.`,
    damaged: `The backup in ${run.place} is damaged: ${run.damage[0]}`,
    failed: `It failed: ${run.reason}`,
  };
  const isBad = run.result === "damaged" || run.result === "failed";
  notice(`${texts[run.result ?? "failed"]}${!isBad && run.reason ? ` But ${run.reason}` : ""}`, isBad ? { kind: "failed" } : {});
}

function noPlace() {
  return el("section", { class: "card stack" }, el("h2", {}, "No place for backups is set"),
    el("p", {}, "The setting ", el("code", {}, "backup-places"), " names the directories and s3:// addresses to which backups may be taken from here. It is read when the server starts. Until then ", el("code", {}, "keystead backup"), " takes them."));
}
