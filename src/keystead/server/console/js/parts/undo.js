// Every change of the console is told with a way back. The way back is conditional: it puts back what was there only if
// nobody has changed it meanwhile.

import * as api from "../api.js";
import { bytesOf, shown } from "../bytes.js";
import { el } from "../elements.js";
import { ask } from "./dialog.js";
import { counted, plural } from "./figures.js";
import { notice } from "./notices.js";
import { isCluster } from "../state.js";

const CONFLICTS_NAMED = 12;

/** @typedef {import("../api.js").Value} Value */

/** @param {Value} value what is left of its time to live, now */
const remaining = (value) => (value.ttl === null ? undefined : Math.max(0.001, value.ttl - (Date.now() - value.readAt) / 1000));

/**
 * A value was replaced. @param {number} db @param {Uint8Array} key @param {Value} before
 * @param {string} etag of the value that is there now @param {() => void} after
 */
export function offerOldValue(db, key, before, etag, after) {
  notice(`${shown(key, 60)} is saved.`, { action: { label: "Undo", run: () => undo(() => api.write(db, key, before.bytes, { etag, ttl: "keep" }), after) } });
}

/** A key was deleted. @param {number} db @param {Uint8Array} key @param {Value} before @param {() => void} after */
export function offerKey(db, key, before, after) {
  notice(`${shown(key, 60)} is deleted.`, { action: { label: "Undo", run: () => undo(() => api.write(db, key, before.bytes, { etag: null, ttl: remaining(before) }), after) } });
}

/** A key was created. @param {number} db @param {Uint8Array} key @param {string} etag @param {() => void} after */
export function offerNoKey(db, key, etag, after) {
  notice(`${shown(key, 60)} is created.`, { action: { label: "Undo", run: () => undo(() => api.remove(db, key, etag), after) } });
}

/** A transaction of the log can be undone as a whole. @param {string} text @param {number | null} sequence @param {() => void} after */
export function offerUndo(text, sequence, after) {
  if (sequence === null) notice(text);
  else notice(text, { action: { label: "Undo", run: () => undoTransaction(sequence, after) } });
}

/** Undo a transaction; where keys were changed since, ask what becomes of them. @param {number} sequence @param {() => void} after */
export async function undoTransaction(sequence, after) {
  let done;
  try {
    done = await api.undo(sequence, "refuse");
  } catch (error) {
    const { status, members } = /** @type {api.Problem} */ (error);
    if (status !== 409 || !members.keys) throw error;
    done = await askAboutConflicts(sequence, members.keys, members.conflicts);
    if (!done) return;
  }
  const skipped = done.skipped.length ? `; ${plural(done.skipped.length, "key")} left alone` : "";
  const { sequence: own } = done;
  notice(`Undone: ${plural(done.restored, "key")} as before${skipped}.`, { action: { label: "Redo", run: () => undoTransaction(own, after) } });
  after();
}

/** @param {number} sequence @param {api.Place[]} keys some of them @param {number} count @returns {Promise<api.Undone | undefined>} */
function askAboutConflicts(sequence, keys, count) {
  const named = keys.slice(0, CONFLICTS_NAMED);
  const rest = count - named.length;
  return ask({
    title: "Some of it was changed since",
    content: [
      el("p", {}, `Nothing was undone. ${plural(count, "key was", "keys were")} changed since:`),
      el("ul", { class: "names" }, named.map(({ key }) => el("li", {}, shown(bytesOf(key), 100))), rest > 0 && el("li", { class: "quiet" }, `and ${counted(rest)} more`)),
    ],
    answers: [
      { label: "Undo the rest", kind: "primary", run: () => api.undo(sequence, "skip") },
      { label: "Undo all of it", kind: "danger", run: () => api.undo(sequence, "force") },
    ],
  });
}

/** @param {() => Promise<unknown>} put @param {() => void} after */
async function undo(put, after) {
  try {
    await put();
  } catch (error) {
    if (/** @type {api.Problem} */ (error).status === 412) throw new Error("Somebody has changed it since, so it was not undone. Its history shows both.");
    throw error;
  }
  notice("Undone.");
  after();
}

/** The newest transaction that touched the key; null where history does not tell. @param {number} db @param {Uint8Array} key */
export async function newestSequence(db, key) {
  if (isCluster()) return null;
  try {
    const { changes } = await api.keyHistory(db, key, { count: 1 });
    return changes[0]?.sequence ?? null;
  } catch {
    return null;
  }
}
