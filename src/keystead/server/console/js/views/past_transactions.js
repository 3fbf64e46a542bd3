// Who changed what: the transactions of the log, newest first, each with a way back.

import * as api from "../api.js";
import { bytesOf, shown, typedBytes } from "../bytes.js";
import { button, el, field, fill } from "../elements.js";
import { moment, plural, size } from "../parts/figures.js";
import { reporting } from "../parts/notices.js";
import { TransactionLog } from "../parts/transaction_log.js";
import { undoTransaction } from "../parts/undo.js";
import { go, link } from "../router.js";
import { mayWrite, state } from "../state.js";
import { exact } from "./moment.js";

const NAMED = 5;

/** @type {import("./past.js").PastPage} */
export function showTransactions(place, route) {
  const given = (/** @type {string} */ name) => route.query.get(name) ?? "";
  const prefix = input(given("prefix"), "every key");
  const author = input(given("author"), "everybody");
  const until = input(given("until"), "now");
  const said = el("p", { role: "status", class: "quiet" });
  const list = el("ol", { class: "transactions", "aria-label": "Transactions, newest first" });
  const more = el("div", { class: "row" });
  let isLeft = false;
  let log = newLog();
  fill(place,
    el("form", { class: "filters", onsubmit: filter },
      field("Keys that begin with", prefix), field("User or client", author), field("Until", until),
      el("button", { type: "submit", class: "primary" }, "Show")),
    said, list, more);
  load();
  return () => { isLeft = true; };

  function newLog() {
    return new TransactionLog({ db: state.db, prefix: prefix.value ? typedBytes(prefix.value) : undefined, author: author.value || undefined }, given("until"));
  }

  /** @param {Event} event */
  function filter(event) {
    event.preventDefault();
    const place = { view: "history", rest: "transactions", query: { prefix: prefix.value, author: author.value, until: exact(until.value.trim()) } };
    if (link(place) === location.hash) again();
    else go(place);
  }

  function again() {
    log = newLog();
    fill(list);
    load();
  }

  async function load() {
    const mine = log;
    fill(more);
    fill(said, "Reading the log backwards…");
    try {
      const found = await mine.older((before) => !isLeft && mine === log && fill(said, `Reading the log backwards: at transaction ${before}…`));
      if (isLeft || mine !== log) return;
      list.append(...found.map((each) => transactionRow(each, again)));
      const none = prefix.value || author.value ? "No such transaction is kept." : "No transaction is kept. How far back history goes is a matter of history-max-age and history-max-bytes.";
      fill(said, list.childElementCount ? `${plural(list.childElementCount, "transaction")}, the newest first${mine.isAtEnd ? "; that is all that is kept" : ""}` : none);
      fill(more, !mine.isAtEnd && button("Older ones", load));
    } catch (error) {
      if (!isLeft && mine === log) fill(said, el("span", { class: "trouble" }, /** @type {Error} */ (error).message));
    }
  }
}

/** @param {string} value @param {string} placeholder */
const input = (value, placeholder) => el("input", { value, placeholder, spellcheck: "false", autocomplete: "off", autocapitalize: "none" });

/** @param {import("../parts/transaction_log.js").Transaction} transaction @param {() => void} after */
function transactionRow(transaction, after) {
  const { sequence, operations, left_out: leftOut } = transaction;
  const rest = operations.slice(NAMED);
  const undo = () => reporting(() => undoTransaction(sequence, after));
  const compare = link({ view: "history", rest: "differences", query: { from: String(sequence - 1), to: String(sequence) } });
  return el("li", { class: "transaction card", "aria-label": `Transaction ${sequence}` },
    el("div", { class: "row" },
      el("strong", {}, moment(transaction.time_ms)),
      el("span", { class: "quiet" }, [transaction.user, transaction.client].filter(Boolean).map((name) => shown(bytesOf(name), 80)).join(" from ")),
      el("span", { class: "quiet" }, `transaction ${sequence}`),
      el("span", { class: "grow" }),
      el("a", { class: "button", href: compare, "aria-label": `What transaction ${sequence} changed` }, "Before and after"),
      el("a", { class: "button", href: link({ query: { at: String(sequence) } }), "aria-label": `All keys at transaction ${sequence}` }, "All keys then"),
      mayWrite() && button("Undo", undo, { "aria-label": `Undo transaction ${sequence}` })),
    el("ul", { class: "operations" }, operations.slice(0, NAMED).map(operationRow)),
    (rest.length > 0 || leftOut > 0) && el("details", {},
      el("summary", {}, `and ${plural(rest.length + leftOut, "operation")} more`),
      el("ul", { class: "operations" }, rest.map(operationRow)),
      leftOut > 0 && el("p", { class: "quiet" }, `${plural(leftOut, "operation")} of this transaction are not listed; “Before and after” has all of its keys.`)));
}

/** @param {import("../parts/transaction_log.js").Operation} operation */
function operationRow(operation) {
  const { db } = operation;
  const key = operation.key === null || operation.key === undefined ? null : bytesOf(operation.key);
  const target = operation.swapped_with === null || operation.swapped_with === undefined ? `database ${db}` : `databases ${db} and ${operation.swapped_with}`;
  return el("li", {},
    el("span", { class: `op op-${operation.operation}` }, operation.operation),
    key ? el("a", { href: link({ db, key }), class: "name" }, shown(key, 120)) : el("span", {}, target),
    key && db !== state.db && el("span", { class: "badge" }, `db ${db}`),
    el("span", { class: "quiet" }, [typeof operation.size === "number" && size(operation.size), operation.expires_at_ms && `expires ${moment(operation.expires_at_ms)}`].filter(Boolean).join(" · ")));
}
