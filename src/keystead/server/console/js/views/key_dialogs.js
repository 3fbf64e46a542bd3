// What is asked before keys change: create, rename, time to live, delete one, delete all that begin alike.

import * as api from "../api.js";
import { bytesOf, percent, shown, textOf, typeable, typedBytes, utf8 } from "../bytes.js";
import { el, field, fill } from "../elements.js";
import { ask } from "../parts/dialog.js";
import { counted, moment, plural, seconds } from "../parts/figures.js";
import { newestSequence, offerKey, offerNoKey, offerUndo } from "../parts/undo.js";
import { notice } from "../parts/notices.js";
import { isCluster } from "../state.js";

const PREVIEWED = 12;
const KEY_HINT = "Text; \\xff, \\n and \\\\ stand for bytes.";
const TTL_HINT = "Such as 90, 15m, 2h or 7d. Empty: it stays for ever.";

/** @param {string} value @param {Record<string, any>} [properties] */
const input = (value, properties = {}) => el("input", { value, spellcheck: "false", autocomplete: "off", autocapitalize: "none", ...properties });

/** The seconds in a field, null when it is empty. Raises Error. @param {string} typed */
function lifetime(typed) {
  if (!typed.trim()) return null;
  const found = seconds(typed);
  if (found === null) throw new Error(`“${typed}” is no time to live. Write seconds, or a number with s, m, h, d or w.`);
  return found;
}

/** The new key, or undefined. @param {number} db @param {Uint8Array} prefix @returns {Promise<Uint8Array | undefined>} */
export function createKey(db, prefix) {
  const name = input(typeable(prefix), { autofocus: true, required: true });
  const value = el("textarea", { rows: "8", spellcheck: "false" });
  const ttl = input("", { placeholder: "for ever" });
  return ask({
    title: "New key",
    content: [field("Key", name, KEY_HINT), field("Value", value), field("Time to live", ttl, TTL_HINT)],
    answers: [{ label: "Create", kind: "primary", run: create }],
  });

  async function create() {
    const key = typedBytes(name.value);
    try {
      const etag = await api.write(db, key, utf8(value.value), { etag: null, ttl: lifetime(ttl.value) });
      offerNoKey(db, key, etag, () => {});
      return key;
    } catch (error) {
      if (/** @type {api.Problem} */ (error).status === 412) throw new Error(`There is a key ${shown(key, 60)} already. Nothing was changed: choose another name, or edit that key.`);
      throw error;
    }
  }
}

/** The new name, or undefined. @param {number} db @param {Uint8Array} key @returns {Promise<Uint8Array | undefined>} */
export function renameKey(db, key) {
  const name = input(typeable(key), { autofocus: true, required: true });
  return ask({
    title: "Rename",
    content: [field("New name", name, `${KEY_HINT} The time to live goes along.`)],
    answers: [{ label: "Rename", kind: "primary", run: rename }],
  });

  async function rename() {
    const target = typedBytes(name.value);
    if (percent(target) === percent(key)) return false;
    if ((await api.command(db, "RENAMENX", key, target)) !== 1) throw new Error(`There is a key ${shown(target, 60)} already. Nothing was changed.`);
    notice(`${shown(key, 40)} is now ${shown(target, 40)}.`, {
      action: { label: "Undo", run: async () => {
        if ((await api.command(db, "RENAMENX", target, key)) !== 1) throw new Error(`There is a key ${shown(key, 60)} again, so it was not undone.`);
        location.hash = location.hash.replace(percent(target), percent(key));
      } },
    });
    return target;
  }
}

/** Whether it was changed. @param {number} db @param {Uint8Array} key @param {number | null} left seconds */
export async function changeLifetime(db, key, left) {
  const ttl = input(left === null ? "" : String(Math.ceil(left)), { placeholder: "for ever", autofocus: true });
  const until = el("p", { class: "quiet", "aria-live": "polite" });
  const tell = () => {
    const typed = seconds(ttl.value);
    fill(until, typed === null ? (ttl.value.trim() ? "…" : "It stays until somebody deletes it.") : `It expires on ${moment(Date.now() + typed * 1000)}.`);
  };
  ttl.addEventListener("input", tell);
  tell();
  return (await ask({ title: "Time to live", content: [field("Expires in", ttl, TTL_HINT), until], answers: [{ label: "Set", kind: "primary", run: set }] })) === true;

  async function set() {
    const typed = lifetime(ttl.value);
    const name = textOf(key);
    await api.batch(db, [typed === null ? { op: "persist", key: name } : { op: "expire", key: name, ttl: typed }]);
    const back = left === null ? { op: "persist", key: name } : { op: "expire", key: name, ttl: Math.max(0.001, left) };
    notice(typed === null ? `${shown(key, 60)} does not expire any more.` : `${shown(key, 60)} expires on ${moment(Date.now() + typed * 1000)}.`, {
      action: { label: "Undo", run: async () => { await api.batch(db, [back]); dispatchEvent(new CustomEvent("keystead-changed")); } },
    });
    return true;
  }
}

/** Whether it was deleted. @param {number} db @param {Uint8Array} key @param {() => void} after called when it comes back */
export async function deleteKey(db, key, after) {
  const before = await api.read(db, key);
  const isWhole = before.size === before.bytes.length;
  const canComeBack = isWhole || !isCluster();
  const deleted = await ask({
    title: "Delete this key?",
    content: [el("p", { class: "name-block" }, shown(key, 200)), el("p", { class: "quiet" }, `It is deleted only if its value is still the one shown.${canComeBack ? " Afterwards it can be brought back." : ""}`)],
    answers: [{ label: "Delete", kind: "danger", run: async () => (await api.remove(db, key, before.etag), true) }],
  });
  if (!deleted) return false;
  if (isWhole) offerKey(db, key, before, after);
  else offerUndo(`${shown(key, 60)} is deleted.`, await newestSequence(db, key), after);
  return true;
}

/**
 * Delete all keys with a prefix, after showing exactly how many and which. Whether that was done.
 * @param {number} db @param {Uint8Array} prefix @param {() => void} after called when they come back
 */
export async function deletePrefix(db, prefix, after) {
  const page = await api.keys({ db: db || undefined, prefix, limit: PREVIEWED });
  if (page.total === null) {
    notice("Deleting many keys at once needs a user who may read every key, as the number must be exact.", { kind: "failed" });
    return false;
  }
  const total = page.total;
  const typed = input("", { "aria-label": `Type ${total} to confirm`, inputmode: "numeric", autofocus: true });
  const names = page.items.map((item) => el("li", {}, shown(bytesOf(item.name), 100)));
  const rest = total - names.length;
  let sequence = /** @type {number | null} */ (null);
  const done = await ask({
    title: `Delete ${plural(total, "key")}?`,
    content: [
      el("p", {}, "All keys beginning with ", el("strong", { class: "name" }, shown(prefix, 100)), ", in one transaction:"),
      el("ul", { class: "names" }, names, rest > 0 && el("li", { class: "quiet" }, `and ${counted(rest)} more`)),
      el("p", { class: "quiet" }, "If their number changes until then, nothing is deleted and you are asked anew."),
      field(`Type ${total} to confirm`, typed),
    ],
    answers: [{ label: `Delete ${plural(total, "key")}`, kind: "danger", run: remove }],
  });
  if (!done) return false;
  offerUndo(`${plural(total, "key")} beginning with ${shown(prefix, 40)} deleted.`, sequence ?? (await newestSequence(db, bytesOf(page.items[0].name))), after);
  return true;

  async function remove() {
    if (typed.value.replaceAll(/[\s,.]/g, "") !== String(total)) throw new Error(`Type ${total}, the number of keys, to confirm.`);
    try {
      ({ sequence } = await api.removeAll(db, prefix, total));
      return true;
    } catch (error) {
      if (/** @type {api.Problem} */ (error).status === 409) throw new Error("Meanwhile there are more or fewer of these keys. Nothing was deleted: close this and look again.");
      throw error;
    }
  }
}
