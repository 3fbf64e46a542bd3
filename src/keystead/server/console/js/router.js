// Addresses of the page: #/db0/keys/user%3A1?at=… A permanent link names a database, a view, a key and a moment.
// Must not know: what views show.

import { fromPercent, percent } from "./bytes.js";

/**
 * @typedef {object} Route
 * @property {number} db @property {string} view @property {string} rest What follows the view, still percent-encoded.
 * @property {URLSearchParams} query
 */

/** The place that the address names. @returns {Route} */
export function current() {
  const [path, query = ""] = splitOnce(location.hash.replace(/^#\/?/, ""), "?");
  const [db, view, ...rest] = path.split("/");
  const number = /^db(\d{1,5})$/.exec(db ?? "");
  return { db: number ? Number(number[1]) : 0, view: view || "keys", rest: rest.join("/"), query: new URLSearchParams(query) };
}

/** @param {string} text @param {string} mark */
function splitOnce(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * The address of a place.
 * @param {{db?: number, view?: string, rest?: string, key?: Uint8Array, query?: Record<string, string | null | undefined>}} place
 */
export function link({ db = current().db, view = "keys", rest = "", key, query = {} }) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = new URLSearchParams(/** @type {[string, string][]} */ (given)).toString();
  const tail = key ? percent(key) : rest;
  // The empty key has an address of its own, or it could not be told from no key.
  const last = key && !key.length ? "/%" : tail ? `/${tail}` : "";
  return `#/db${db}/${view}${last}${search ? `?${search}` : ""}`;
}

/** @param {Parameters<typeof link>[0]} place @param {{replace?: boolean}} [how] */
export function go(place, { replace = false } = {}) {
  const address = link(place);
  if (address === location.hash) return;
  if (replace) {
    history.replaceState(null, "", address);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = address;
  }
}

/** The key that a route names. @param {Route} route @returns {Uint8Array | null} */
export function keyOf(route) {
  if (!route.rest) return null;
  return route.rest === "%" ? new Uint8Array() : fromPercent(route.rest);
}
