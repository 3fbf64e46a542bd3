// The keys: on the left a tree or a list of them, on the right the value of one.

import { bytesOf, percent, sameBytes, shown, typedBytes } from "../bytes.js";
import { button, el, fill, icon, iconButton } from "../elements.js";
import { counted, duration, plural, size, span } from "../parts/figures.js";
import { KeyList } from "../parts/key_list.js";
import { KeyTree } from "../parts/key_tree.js";
import { onKey } from "../parts/shortcuts.js";
import { VirtualList } from "../parts/virtual_list.js";
import { current, go, keyOf, link } from "../router.js";
import { change, isCluster, mayWrite, state } from "../state.js";
import { createKey, deleteKey, deletePrefix } from "./key_dialogs.js";
import { showMoment } from "./moment.js";
import { showValue } from "./value.js";

const SEARCH_PAUSE_MS = 120;
const RETRY_MS = 1000;

/** @typedef {import("../router.js").Route} Route */

/** @param {HTMLElement} place @param {Route} route @returns {import("../main.js").View} */
export function showKeys(place, route) {
  const view = new KeysView(place, route);
  return { update: (next) => view.update(next), leave: () => view.leave() };
}

class KeysView {
  /** @param {HTMLElement} place @param {Route} route */
  constructor(place, route) {
    this._route = route;
    this._prefix = route.query.get("prefix") ?? "";
    /** @type {KeyTree | KeyList} */
    this._model = /** @type {any} */ (null);
    /** @type {VirtualList | null} */
    this._list = null;
    /** @type {{leave: () => void} | null} */
    this._value = null;
    this._shownKey = /** @type {string | null} */ (null);
    this._search = el("input", { type: "search", "aria-label": "Search keys by prefix", placeholder: "Search by prefix", value: this._prefix, oninput: () => this._searchSoon(), spellcheck: "false", autocomplete: "off", autocapitalize: "none" });
    this._status = el("p", { class: "list-status", role: "status" });
    this._listPlace = el("div", { class: "list-place" });
    this._pane = el("section", { class: "value-pane", "aria-label": "Value" });
    this._tools = el("div", { class: "tools" });
    this._moment = el("div", {});
    this._root = el("div", { class: "keys" },
      el("section", { class: "list-pane", "aria-label": "Keys" }, this._tools, this._moment, this._status, this._listPlace),
      this._pane,
    );
    fill(place, this._root);
    this._drawTools();
    this._start();
    this._keys = [onKey("/", () => this._search.focus()), onKey("n", () => this._create()), onKey("Delete", () => this._removeActive())];
    this.update(route);
  }

  _drawTools() {
    const delimiter = el("input", { class: "delimiter", "aria-label": "Delimiter of folders", title: "What ends a folder's name", value: state.delimiter, maxlength: "16", onchange: () => this._delimit(delimiter.value) });
    const modes = el("div", { class: "segmented", role: "group", "aria-label": "Show keys as" },
      ["tree", "list"].map((mode) => button(mode === "tree" ? "Tree" : "List", () => this._setMode(/** @type {any} */ (mode)), { "aria-pressed": String(state.mode === mode) })));
    fill(this._tools,
      el("div", { class: "search" }, icon("search"), this._search),
      el("div", { class: "row" }, !isCluster() && modes, isTree() && delimiter, isCluster() && el("p", { class: "quiet" }, "In no order, and nobody counts them. ", el("a", { href: link({ view: "cluster" }) }, "Why?")), el("span", { class: "grow" }),
        !isCluster() && iconButton("clock", "Show the keys at an earlier moment", () => this._chooseMoment()),
        iconButton("refresh", "Load anew", () => this._reload()),
        mayWrite() && iconButton("plus", "New key", () => this._create(), { class: "icon-button accent" })));
  }

  /** @param {"tree" | "list"} mode */
  _setMode(mode) {
    change({ mode });
    this._drawTools();
    this._start();
  }

  /** @param {string} delimiter */
  _delimit(delimiter) {
    change({ delimiter: delimiter || ":" });
    this._drawTools();
    this._start();
  }

  _searchSoon() {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => {
      this._prefix = this._search.value;
      const route = current();
      go({ ...route, rest: route.rest, query: { ...Object.fromEntries(route.query), prefix: this._prefix } }, { replace: true });
      this._start();
    }, SEARCH_PAUSE_MS);
  }

  /** Show what the address names. @param {Route} route */
  update(route) {
    const wasMoment = this._route.query.get("at");
    this._route = route;
    if (wasMoment !== route.query.get("at")) {
      this._drawTools();
      this._start();
    }
    if (route.query.has("new")) {
      go({ ...route, query: {} }, { replace: true });
      this._create();
    }
    const key = keyOf(route);
    const identity = key && `${percent(key)}@${route.query.get("at") ?? ""}`;
    this._root.classList.toggle("shows-value", key !== null);
    if (identity === this._shownKey && this._value) return;
    this._shownKey = identity;
    this._value?.leave();
    this._value = null;
    if (key) {
      this._value = showValue(this._pane, { db: state.db, key, moment: route.query.get("at"), onchange: () => this._reload(), back: () => this._close() });
    } else this._drawNothing();
    this._list?.draw();
  }

  _close() {
    go({ query: this._kept() });
  }

  _kept() {
    return { prefix: this._prefix || null, at: this._route.query.get("at") };
  }

  _drawNothing() {
    fill(this._pane, el("div", { class: "nothing" }, icon("key"), el("p", {}, "Choose a key to see its value."),
      mayWrite() && button("New key", () => this._create(), { class: "primary" }),
      el("p", { class: "quiet" }, el("kbd", {}, "/"), " searches, ", el("kbd", {}, "?"), " lists the keyboard")));
  }

  /** Begin the list anew: another prefix, mode, delimiter or moment. */
  _start() {
    this._model?.close();
    this._list?.close();
    const prefix = typedBytes(this._prefix);
    const moment = this._route.query.get("at");
    const onchange = () => this._changed();
    const isList = !isTree() && !moment;
    // A folder of the past has a number for who may read every key only: others are shown a list.
    const delimiter = isTree() && (!moment || state.session?.reads_all_keys) ? state.delimiter : null;
    this._model = isList ? new KeyList({ db: state.db, prefix, hasPositions: Boolean(state.session?.reads_all_keys) && !isCluster(), onchange }) : new KeyTree({ db: state.db, prefix, delimiter, moment, onchange });
    this._list = this._model instanceof KeyList ? this._makeList(this._model) : this._makeTree(this._model);
    fill(this._moment, moment && showMoment(moment, isTree() && !delimiter ? " You may not read every key, so they are shown as a list: a folder's number would count the others." : ""));
    fill(this._status, "Loading…");
    fill(this._listPlace, this._list.element);
  }

  _changed() {
    if (!this._list) return;
    const { problem, known, isAll, isLoaded } = this._model;
    if (problem && !isLoaded) {
      fill(this._status, el("span", { class: "trouble" }, problem.message));
      if (/** @type {any} */ (problem).status === 503) this._timer = setTimeout(() => this._start(), RETRY_MS);
      return;
    }
    this._list.count = this._model.count;
    const what = this._prefix ? `${plural(known, "key")} beginning with ${shown(typedBytes(this._prefix), 40)}` : plural(known, "key");
    const sorted = this._model instanceof KeyList && (this._model.sort.column !== "name" || this._model.sort.isDown);
    fill(this._status, el("span", {}, isAll ? what : `${what} so far`), el("span", { class: "quiet" }, duration(this._model.tookMs / 1000)),
      sorted && el("span", { class: "quiet" }, `sorted within each ${counted(KeyList.pageLength)}`));
    if (known === 0 && isAll) fill(this._status, this._prefix ? `No key begins with ${shown(typedBytes(this._prefix), 40)}.` : "There is no key in this database.");
  }

  // --- the tree ---------------------------------------------------------------------------------------------------------

  /** @param {KeyTree} tree */
  _makeTree(tree) {
    const list = new VirtualList({
      label: "Keys", role: "tree", rowHeight: rowHeight(),
      render: (index) => this._treeRow(tree.row(index), tree),
      onactivate: (index) => this._take(tree, index),
      onkey: (event, index) => this._treeKey(event, tree, list, index),
    });
    return list;
  }

  /** @param {import("../parts/key_tree.js").Row} row @param {KeyTree} tree */
  _treeRow(row, tree) {
    const { node } = row;
    if (row.kind === "more") return this._moreRow(tree, node);
    const label = shown(tree.ownName(node), 300) || shown(node.name, 300);
    const isShown = !node.isFolder && this._isShown(node.name);
    const line = el("div", { class: ["tree-row", node.isFolder ? "folder" : "key", isShown && "is-shown", `level-${Math.min(node.level - 1, 12)}`], role: "treeitem", "aria-level": node.level, "aria-selected": String(isShown), "aria-expanded": node.isFolder ? String(node.isOpen) : undefined });
    if (!node.isFolder) {
      line.append(icon("key"), el("span", { class: "label" }, label), node.item.ttl ? el("span", { class: "count", title: "Time to live" }, span(node.item.ttl)) : "");
      return line;
    }
    const keys = `${counted(node.keys)}${node.isAtLeast ? "+" : ""}`;
    line.setAttribute("aria-label", `${label}, ${keys} ${node.keys === 1 ? "key" : "keys"}`);
    line.append(icon("chevron"), icon("folder"), el("span", { class: "label" }, label),
      mayWrite() && iconButton("bin", `Delete the ${counted(node.keys)} keys beginning with ${shown(node.name, 60)}`, () => this._removePrefix(node.name), { class: "icon-button on-hover", tabindex: "-1" }) || "",
      el("span", { class: "count" }, keys));
    return line;
  }

  /** @param {KeyTree} tree @param {import("../parts/key_tree.js").Node} folder */
  _moreRow(tree, folder) {
    const row = el("div", { class: ["tree-row", "more", `level-${Math.min(folder.level, 12)}`], role: "treeitem", "aria-level": folder.level + 1, "aria-selected": "false" });
    if (folder.problem) row.append(el("span", { class: "trouble" }, folder.problem.message), button("Try again", () => tree.retry(folder), { class: "link", tabindex: "-1" }));
    else row.append(folder.next ? "More are loading…" : "Loading…");
    return row;
  }

  /** @param {KeyTree} tree @param {number} index */
  _take(tree, index) {
    const row = tree.row(index);
    if (row.kind === "more") tree.retry(row.node);
    else if (row.node.isFolder) tree.toggle(row.node);
    else this._open(row.node.name);
  }

  /** @param {KeyboardEvent} event @param {KeyTree} tree @param {VirtualList} list @param {number} index */
  _treeKey(event, tree, list, index) {
    const node = tree.rows[index]?.node;
    if (!node) return false;
    if (event.key === "ArrowRight" && node.isFolder) {
      if (!node.isOpen) tree.toggle(node);
      else list.activate(index + 1);
    } else if (event.key === "ArrowLeft") {
      if (node.isFolder && node.isOpen) tree.toggle(node);
      else list.activate(tree.rows.findIndex((row) => row.kind === "node" && row.node === node.parent));
    } else return false;
    return true;
  }

  // --- the list ---------------------------------------------------------------------------------------------------------

  /** @param {KeyList} keys */
  _makeList(keys) {
    const header = el("div", { class: "list-row header", role: "row" });
    const drawHeader = () => fill(header, ["name", "type", "ttl", "size"].map((column) => columnHeader(keys, /** @type {any} */ (column), drawHeader)));
    drawHeader();
    const list = new VirtualList({
      label: "Keys", role: "grid", rowHeight: rowHeight(), header,
      render: (index) => this._listRow(keys.item(index), index, keys),
      onactivate: (index) => {
        const item = keys.item(index);
        if (item) this._open(bytesOf(item.name));
        else if (keys.isResting) keys.goOn();
      },
    });
    return list;
  }

  /** @param {import("../api.js").Item | null} item @param {number} index @param {KeyList} keys */
  _listRow(item, index, keys) {
    const row = el("div", { class: "list-row", role: "row", "aria-rowindex": index + 2 });
    if (!item) {
      row.append(el("span", { role: "gridcell", class: "quiet" }, keys.isResting ? button("Nothing among many keys. Look further", () => keys.goOn(), { class: "link", tabindex: "-1" }) : "…"));
      return row;
    }
    const name = bytesOf(item.name);
    const isShown = this._isShown(name);
    row.classList.toggle("is-shown", isShown);
    row.setAttribute("aria-selected", String(isShown));
    const cells = [shown(name, 300), item.type ?? "", item.ttl ? span(item.ttl) : "", item.size === undefined ? "" : size(item.size)];
    row.append(...cells.map((text, column) => el("span", { role: "gridcell", class: column ? "" : "label" }, text)));
    return row;
  }

  // --- deeds ------------------------------------------------------------------------------------------------------------

  /** @param {Uint8Array} name */
  _isShown(name) {
    const key = keyOf(this._route);
    return key !== null && sameBytes(key, name);
  }

  /** @param {Uint8Array} key */
  _open(key) {
    go({ key, query: this._kept() });
  }

  async _reload() {
    await this._model.reload();
  }

  async _create() {
    if (!mayWrite()) return;
    const key = await createKey(state.db, typedBytes(this._prefix));
    if (!key) return;
    await this._reload();
    this._open(key);
  }

  /** @param {Uint8Array} prefix */
  async _removePrefix(prefix) {
    if (await deletePrefix(state.db, prefix, () => this._reload())) await this._reload();
  }

  async _removeActive() {
    if (!mayWrite() || !this._list || !this._list.element.contains(document.activeElement)) return;
    const { active } = this._list;
    const row = this._model instanceof KeyTree ? this._model.rows[active] : null;
    const item = this._model instanceof KeyList && active >= 0 ? this._model.item(active) : null;
    if (row?.kind === "node" && row.node.isFolder) await this._removePrefix(row.node.name);
    else if (row?.kind === "node" || item) {
      const key = row ? row.node.name : bytesOf(/** @type {any} */ (item).name);
      if (await deleteKey(state.db, key, () => this._reload())) await this._reload();
    }
  }

  async _chooseMoment() {
    const { chooseMoment } = await import("./moment.js");
    const moment = await chooseMoment(this._route.query.get("at"));
    if (moment !== undefined) go({ ...current(), query: { prefix: this._prefix, at: moment } });
  }

  leave() {
    clearTimeout(this._timer);
    this._model?.close();
    this._list?.close();
    this._value?.leave();
    for (const forget of this._keys) forget();
  }
}

/** Folders need keys in order, which a cluster has not. */
const isTree = () => state.mode === "tree" && !isCluster();

/** Taller where fingers point. */
const rowHeight = () => (matchMedia("(pointer: coarse)").matches ? 44 : 32);

/** @param {KeyList} keys @param {import("../parts/key_list.js").Column} column @param {() => void} redraw */
function columnHeader(keys, column, redraw) {
  const { sort } = keys;
  const direction = sort.column !== column ? "none" : sort.isDown ? "descending" : "ascending";
  const label = { name: "Name", type: "Type", ttl: "TTL", size: "Size" }[column];
  const sortNow = () => {
    keys.sortBy(column);
    redraw();
  };
  return el("span", { role: "columnheader", "aria-sort": direction }, button(label, sortNow, { class: ["sort", direction] }));
}

