// Start: who is asking, then the shell, then the view that the address names. A new view joins by one line in VIEWS.

import * as api from "./api.js";
import { el, fill } from "./elements.js";
import { failed } from "./parts/notices.js";
import { applyTheme, shell } from "./parts/shell.js";
import { listenForShortcuts } from "./parts/shortcuts.js";
import { current } from "./router.js";
import { change, showPast, state } from "./state.js";
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

/** @type {Record<string, {title: string, icon: string, show: Show}>} In the order of the navigation. */
const VIEWS = {
  keys: { title: "Keys", icon: "key", show: showKeys },
  live: { title: "Live", icon: "live", show: showLive },
  commands: { title: "Commands", icon: "terminal", show: showCommands },
  memory: { title: "Memory", icon: "memory", show: showMemory },
  history: { title: "History", icon: "clock", show: showPastOfAll },
  deleted: { title: "Deleted", icon: "bin", show: showDeleted },
  transfer: { title: "Transfer", icon: "transfer", show: showTransfer },
  server: { title: "Server", icon: "server", show: showServer },
};

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
/** @type {ReturnType<typeof shell> | null} */
let frame = null;
/** @type {{name: string, view: View} | null} */
let open = null;

/** Show what the address names. */
function route() {
  if (!frame) return;
  const place = current();
  const name = place.view in VIEWS ? place.view : "keys";
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
  frame = shell(VIEWS, { logOut });
  fill(app, frame.element);
  route();
}

async function logOut() {
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
  open?.view.leave?.();
  open = frame = null;
  showLogin(app, start);
});
addEventListener("hashchange", route);
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  failed(event.reason);
});
listenForShortcuts(VIEWS);
start();
