// What the whole page knows: who is logged in, which database is shown, how. Those who care are told of changes.
// What must outlive a visit (appearance, delimiter) is kept by the browser. Must not know: views.

/**
 * @typedef {object} Session
 * @property {string | null} user @property {boolean} login_required @property {boolean} may_write
 * @property {boolean} may_admin @property {boolean} reads_all_keys
 * @property {"store" | "cluster"} [mode] what is behind the server
 */

/** @type {{session: Session | null, db: number, delimiter: string, theme: "auto" | "light" | "dark", columns: boolean, mode: "tree" | "list"}} */
const now = {
  session: null,
  db: 0,
  delimiter: remembered("delimiter", ":"),
  theme: /** @type {any} */ (remembered("theme", "auto")),
  columns: remembered("columns", "no") === "yes",
  mode: /** @type {any} */ (remembered("mode", "tree")),
};

/** @type {Set<(changed: string[]) => void>} */
const listeners = new Set();

export const state = /** @type {Readonly<typeof now>} */ (now);

/** @param {Partial<typeof now>} changes */
export function change(changes) {
  const names = Object.keys(changes).filter((name) => now[name] !== changes[name]);
  Object.assign(now, changes);
  for (const name of names) keep(name);
  if (names.length) for (const listener of [...listeners]) listener(names);
}

/** Be told which members changed. Returns what ends that. @param {(changed: string[]) => void} listener */
export function watch(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const mayWrite = () => Boolean(now.session?.may_write) && !isPast();
/** Whether a cluster is behind the server: no log, no order, no counts. */
export const isCluster = () => now.session?.mode === "cluster";
export const mayAdminister = () => Boolean(now.session?.may_admin);

let past = false;
/** While the page shows an earlier moment, nothing can be changed. @param {boolean} isShown */
export function showPast(isShown) {
  past = isShown;
}
export const isPast = () => past;

const KEPT = ["delimiter", "theme", "columns", "mode"];

/** @param {string} name */
function keep(name) {
  if (!KEPT.includes(name)) return;
  const value = now[name];
  try {
    localStorage.setItem(`keystead.${name}`, typeof value === "boolean" ? (value ? "yes" : "no") : String(value));
  } catch {
    // A browser that keeps nothing shows the defaults next time.
  }
}

/** @param {string} name @param {string} otherwise */
function remembered(name, otherwise) {
  try {
    return localStorage.getItem(`keystead.${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}
