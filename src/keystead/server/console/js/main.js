// Start: who is asking, then the shell, then the view that the address names. A new view joins by one line in VIEWS.

import * as api from "./api.js";
import { el, fill } from "./elements.js";
import { sampling } from "./parts/cluster_samples.js";
import { failed } from "./parts/notices.js";
import { applyTheme, shell } from "./parts/shell.js";
import { listenForShortcuts } from "./parts/shortcuts.js";
import { current } from "./router.js";
import { change, isCluster, showPast, state } from "./state.js";
import { showCluster } from "./views/cluster.js";
import { showCommands } from "./views/commands.js";
import { showDeleted } from "./views/deleted.js";
import { showKeys } from "./views/keys.js";
import { showLive } from "./views/live.js";
import { showLogin } from "./views/login.js";
import { showMemory } from "./views/memory.js";
import { showPastOfAll } from "./views/past.js";
import { showServer } from "./views/server.js";
import { showTransfer } from "./views/transfer.js";

/**
 * A view fills the place it is given. `update` is told of another route within it, `leave` that it is gone.
 * @typedef {{update?: (route: import("./router.js").Route) => void, leave?: () => void}} View
 * @typedef {(place: HTMLElement, route: import("./router.js").Route) => View} Show
 */

/**
 * @typedef {object} ViewEntry
 * @property {string} title @property {string} icon @property {string} letter behind g, to go there @property {Show} show
 * @property {"store" | "cluster"} [only] what must be behind the server for it
 */

/** @type {Record<string, ViewEntry>} In the order of the navigation. */
const VIEWS = {
  keys: { title: "Keys", icon: "key", letter: "k", show: showKeys },
  cluster: { title: "Cluster", icon: "cluster", letter: "x", show: showCluster, only: "cluster" },
  live: { title: "Live", icon: "live", letter: "l", show: showLive },
  commands: { title: "Commands", icon: "terminal", letter: "c", show: showCommands },
  memory: { title: "Memory", icon: "memory", letter: "m", show: showMemory, only: "store" },
  history: { title: "History", icon: "clock", letter: "h", show: showPastOfAll, only: "store" },
  deleted: { title: "Deleted", icon: "bin", letter: "d", show: showDeleted, only: "store" },
  transfer: { title: "Transfer", icon: "transfer", letter: "t", show: showTransfer },
  server: { title: "Server", icon: "server", letter: "s", show: showServer },
};

/** Those that there are in front of what is behind the server. */
const viewsHere = () => Object.fromEntries(Object.entries(VIEWS).filter(([, { only }]) => !only || (only === "cluster") === isCluster()));

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
/** @type {ReturnType<typeof shell> | null} */
let frame = null;
/** @type {{name: string, view: View} | null} */
let open = null;

/** Show what the address names. */
function route() {
  if (!frame) return;
  const place = current();
  // A link to what cannot be in front of a cluster leads to where it says why.
  const name = place.view in viewsHere() ? place.view : isCluster() && place.view in VIEWS ? "cluster" : "keys";
  showPast(name === "keys" && place.query.has("at"));
  const isOtherDatabase = place.db !== state.db;
  change({ db: place.db });
  if (open?.name === name && open.view.update && !isOtherDatabase) {
    open.view.update(place);
    return;
  }
  open?.view.leave?.();
  frame.select(name);
  document.title = `${VIEWS[name].title} · Keystead`;
  const main = fill(frame.main);
  open = { name, view: VIEWS[name].show(/** @type {HTMLElement} */ (main), place) };
}

async function start() {
  applyTheme();
  open?.view.leave?.();
  open = frame = null;
  try {
    const session = await api.session();
    change({ session, db: current().db });
    if (session.login_required && session.user === null) {
      showLogin(app, start);
      return;
    }
  } catch (error) {
    if (/** @type {api.Problem} */ (error).status === 401) showLogin(app, start);
    else unreachable(/** @type {Error} */ (error));
    return;
  }
  if (isCluster()) sampling.start();
  frame = shell(viewsHere(), { logOut });
  fill(app, frame.element);
  route();
}

async function logOut() {
  sampling.stop();
  try {
    await api.logOut();
  } catch (error) {
    failed(error);
  }
  await start();
}

/** @param {Error} error */
function unreachable(error) {
  const again = el("button", { type: "button", class: "primary", onclick: start }, "Try again");
  fill(app, el("main", { class: "login" }, el("div", { class: "card" }, el("h1", {}, "No answer"), el("p", { role: "alert" }, error.message), again)));
}

api.whenLoginNeeded(() => {
  if (!frame) return;
  sampling.stop();
  open?.view.leave?.();
  open = frame = null;
  showLogin(app, start);
});
addEventListener("hashchange", route);
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  failed(event.reason);
});
listenForShortcuts(viewsHere);
start();
