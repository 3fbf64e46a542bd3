// The command line: any command of the server, with completion and help from its own table. What a write will touch is
// shown before it runs, and what destroys much is asked about.

import * as api from "../api.js";
import { shown, textOrNull } from "../bytes.js";
import { button, el, fill, icon } from "../elements.js";
import { split } from "../parts/command_line.js";
import { ask } from "../parts/dialog.js";
import { duration } from "../parts/figures.js";
import { written } from "../parts/replies.js";
import { link } from "../router.js";
import { isCluster, mayWrite, state } from "../state.js";

const MOST_CHOICES = 8;
const PAUSE_MS = 150;
const MOST_RUNS = 200;

/** What destroys or stops so much that it is asked about, and why. @type {Record<string, string>} */
const DANGEROUS = {
  FLUSHALL: "It deletes every key of every database.",
  FLUSHDB: "It deletes every key of this database.",
  SHUTDOWN: "It stops the server, for everybody.",
  SWAPDB: "It exchanges two databases, for everybody.",
  "CLIENT KILL": "It ends connections of others.",
  "CLIENT PAUSE": "It makes every client wait.",
  "CONFIG SET": "It changes how the server runs, for everybody.",
  "ACL SETUSER": "It changes who may do what.",
  "ACL DELUSER": "It removes users and ends their connections.",
  "KS.FORGET": "It removes every trace of a key from the log. That cannot be undone.",
  DEBUG: "It is meant for tests, and may stop the server.",
};

/**
 * @typedef {object} Command
 * @property {string} name @property {string} summary @property {string} syntax @property {string} group
 * @property {string[]} flags
 */

/** @type {Map<string, Command> | null} */
let table = null;
/** @type {string[]} */
const past = [];

/** @param {HTMLElement} place @returns {import("../main.js").View} */
export function showCommands(place) {
  const pane = new CommandPane(place);
  return { leave: () => pane.leave() };
}

class CommandPane {
  /** @param {HTMLElement} place */
  constructor(place) {
    this._runs = el("div", { class: "runs", role: "log", "aria-label": "Commands and replies", tabindex: "0" },
      el("p", { class: "quiet" }, "Every command of the server works here. Tab completes, ↑ brings back what was typed before."));
    this._input = el("input", { type: "text", role: "combobox", "aria-label": "Command", "aria-expanded": "false", "aria-controls": "command-choices", "aria-autocomplete": "list", autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: "GET key", oninput: () => this._typed(), onkeydown: (/** @type {KeyboardEvent} */ event) => this._key(event) });
    this._choices = el("div", { id: "command-choices", role: "listbox", "aria-label": "Completions", hidden: true });
    this._help = el("div", { class: "command-help", "aria-live": "polite" });
    this._touches = el("div", { class: "touches", "aria-live": "polite" });
    /** @type {Command[]} */
    this._found = [];
    this._active = -1;
    this._back = past.length;
    fill(place, el("div", { class: "commands" },
      el("h1", { class: "visually-hidden" }, "Commands"), this._runs,
      el("div", { class: "command-entry" }, this._help, this._touches, this._choices,
        el("div", { class: "row" }, icon("terminal"), this._input, button("Run", () => this._run(), { class: "primary" })))));
    this._input.focus();
    this._loadTable();
  }

  async _loadTable() {
    try {
      table ??= commandsByName(await api.reference());
    } catch (error) {
      fill(this._help, el("p", { class: "quiet" }, `Completion is not there: ${/** @type {Error} */ (error).message}`));
    }
  }

  _typed() {
    this._active = -1;
    this._complete();
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._explain(), PAUSE_MS);
  }

  /** Offer the commands that begin with what is typed. */
  _complete() {
    const typed = this._input.value.trimStart().toUpperCase();
    const isNaming = typed !== "" && table !== null && !(findCommand(typed.trimEnd()) && /\s$/.test(typed));
    this._found = isNaming ? [...table.values()].filter(({ name }) => name.startsWith(typed)).slice(0, MOST_CHOICES) : [];
    this._drawChoices();
    const command = findCommand(typed);
    fill(this._help, command && el("p", {}, el("code", {}, command.syntax), el("br"), el("span", { class: "quiet" }, command.summary)));
  }

  _drawChoices() {
    this._choices.hidden = !this._found.length;
    this._input.setAttribute("aria-expanded", String(this._found.length > 0));
    fill(this._choices, this._found.map((command, index) =>
      el("div", { role: "option", id: `completion-${index}`, "aria-selected": String(index === this._active), onclick: () => this._take(index) },
        el("span", {}, command.name), el("small", {}, command.summary))));
    if (this._active >= 0) this._input.setAttribute("aria-activedescendant", `completion-${this._active}`);
    else this._input.removeAttribute("aria-activedescendant");
  }

  /** @param {number} index */
  _take(index) {
    this._input.value = `${this._found[Math.max(0, index)].name} `;
    this._input.focus();
    this._typed();
  }

  /** Show the keys that the command would touch. */
  async _explain() {
    const { args } = split(this._input.value);
    const command = findCommand(names(args));
    fill(this._touches);
    if (!command || args.length < 2 || !command.flags.includes("write")) return;
    const keys = await touchedKeys(args).catch(() => null);
    if (!keys || names(args) !== names(split(this._input.value).args)) return;
    fill(this._touches, el("span", { class: "badge" }, "writes"), " ", keys.length ? keys.slice(0, 12).map((key) => el("code", { class: "name" }, shown(key, 60))) : "no key of its own",
      keys.length > 12 && ` and ${keys.length - 12} more`);
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    const isChoosing = this._found.length > 0;
    if (event.key === "Tab" && isChoosing && !event.shiftKey) this._take(this._active);
    else if (event.key === "Enter") {
      if (isChoosing && this._active >= 0) this._take(this._active);
      else this._run();
    } else if (event.key === "Escape" && isChoosing) {
      this._found = [];
      this._drawChoices();
    } else if (event.key === "ArrowDown" && isChoosing) this._choose(1);
    else if (event.key === "ArrowUp" && isChoosing && this._active >= 0) this._choose(-1);
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") this._recall(event.key === "ArrowUp" ? -1 : 1);
    else return;
    event.preventDefault();
  }

  /** @param {number} step */
  _choose(step) {
    this._active = Math.min(this._found.length - 1, this._active + step);
    this._drawChoices();
  }

  /** @param {number} step */
  _recall(step) {
    this._back = Math.max(0, Math.min(past.length, this._back + step));
    this._input.value = past[this._back] ?? "";
    this._found = [];
    this._drawChoices();
  }

  async _run() {
    const line = this._input.value.trim();
    const { args, isOpen } = split(line);
    if (!args.length) return;
    if (isOpen) {
      fill(this._touches, el("span", { class: "trouble", role: "alert" }, "A quotation mark is missing at the end."));
      return;
    }
    if (!(await this._isMeant(args))) return;
    if (past.at(-1) !== line) past.push(line);
    this._back = past.length;
    this._input.value = "";
    this._found = [];
    this._drawChoices();
    fill(this._help);
    fill(this._touches);
    await this._execute(line, args);
    this._input.focus();
  }

  /** @param {Uint8Array[]} args */
  async _isMeant(args) {
    const name = [names(args.slice(0, 2)), names(args.slice(0, 1))].find((each) => each in DANGEROUS);
    if (!name) return true;
    const typed = el("input", { "aria-label": `Type ${name} to confirm`, autofocus: true, spellcheck: "false", autocomplete: "off" });
    const run = () => {
      if (typed.value.trim().toUpperCase() !== name) throw new Error(`Type ${name} to confirm.`);
      return true;
    };
    return (await ask({
      title: `Run ${name}?`,
      content: [el("p", {}, DANGEROUS[name]), el("p", { class: "name-block" }, args.map((arg) => shown(arg, 80)).join(" ")),
        el("label", { class: "field" }, el("span", {}, `Type ${name} to confirm`), typed)],
      answers: [{ label: "Run", kind: "danger", run }],
    })) === true;
  }

  /** @param {string} line @param {Uint8Array[]} args */
  async _execute(line, args) {
    const reply = el("pre", {}, "…");
    const took = el("small", { class: "quiet" });
    this._runs.append(el("div", { class: "run" }, el("p", {}, el("span", { class: "prompt", "aria-hidden": "true" }, `db${state.db}> `), el("code", {}, line), took), reply));
    while (this._runs.childElementCount > MOST_RUNS) this._runs.firstElementChild?.remove();
    const started = performance.now();
    try {
      fill(reply, written(await api.typedCommand(state.db, args)));
    } catch (error) {
      const problem = /** @type {api.Problem} */ (error);
      reply.className = "trouble";
      fill(reply, problem.members?.redis_error ?? problem.message);
    }
    const changed = !reply.className && !isCluster() && mayWrite() && findCommand(line)?.flags.includes("write");
    fill(took, duration((performance.now() - started) / 1000), changed && el("a", { href: link({ view: "history" }) }, "undo it in History"));
    this._runs.scrollTop = this._runs.scrollHeight;
  }

  leave() {
    clearTimeout(this._timer);
  }
}

/** @param {any} document @returns {Map<string, Command>} */
function commandsByName(document) {
  const commands = Array.isArray(document) ? document : document.commands;
  return new Map(commands.map((/** @type {any} */ each) => {
    const name = each.name.toUpperCase().replace("|", " ");
    return [name, { name, summary: each.summary, syntax: each.syntax ?? each.arguments ?? "", group: each.group, flags: each.flags ?? [] }];
  }));
}

/** The command that a line begins with: its first two words, or the first. @param {string} line */
function findCommand(line) {
  const words = line.trim().split(/\s+/);
  return table?.get(words.slice(0, 2).join(" ").toUpperCase()) ?? table?.get(words[0].toUpperCase());
}

/** @param {Uint8Array[]} args */
const names = (args) => args.map((arg) => textOrNull(arg) ?? "").join(" ").toUpperCase();

/** @param {Uint8Array[]} args @returns {Promise<Uint8Array[]>} */
async function touchedKeys(args) {
  const found = await api.command(state.db, "COMMAND", "GETKEYS", ...args);
  return found.map(api.bytesOf);
}

