// The HTTP API, and the only module that asks the server for anything. Every failure comes out as a Problem whose
// `detail` says what to do. Must not know: the page.

import { bytesOf, percent, textOf, toBase64Url } from "./bytes.js";

/** Why the server did not do what was asked. */
export class Problem extends Error {
  /**
   * @param {number} status 0 when there was no answer @param {string} detail @param {Record<string, any>} [members]
   * @param {number} [retryAfterS] when it may be asked again; 0: the server did not say
   */
  constructor(status, detail, members = {}, retryAfterS = 0) {
    super(detail);
    this.status = status;
    this.detail = detail;
    this.members = members;
    this.retryAfterS = retryAfterS;
  }
}

/** @type {() => void} */
let onLoginNeeded = () => {};
/** @param {() => void} listener called when the server does not know any more who is asking */
export function whenLoginNeeded(listener) {
  onLoginNeeded = listener;
}

/**
 * @typedef {object} Options
 * @property {Record<string, any>} [query] Bytes are percent-encoded as they are; undefined and null are left out.
 * @property {any} [body] What is neither bytes nor text nor a file is sent as JSON.
 * @property {Record<string, string>} [headers] @property {AbortSignal} [signal]
 */

/** One request. Raises Problem. @param {string} method @param {string} path @param {Options} [options] */
export async function request(method, path, { query = {}, body, headers = {}, signal } = {}) {
  const isRaw = body === undefined || typeof body === "string" || body instanceof Uint8Array || body instanceof Blob;
  const sent = isRaw ? body : JSON.stringify(body);
  const type = isRaw ? {} : { "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(path + search(query), { method, body: sent, headers: { ...type, ...headers }, signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "The server does not answer. Check that keystead serve runs and that this machine reaches it, then try again.");
  }
  if (response.ok || response.status === 304) return response;
  const problem = await problemOf(response);
  if (problem.status === 401 && path !== "/v1/session") onLoginNeeded();
  throw problem;
}

/** @param {Record<string, any>} query */
function search(query) {
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}=${value instanceof Uint8Array ? percent(value) : encodeURIComponent(value)}`);
  return pairs.length ? `?${pairs.join("&")}` : "";
}

/** @param {Response} response */
async function problemOf(response) {
  const document = await response.json().catch(() => ({}));
  const detail = document.detail ?? `The server answered ${response.status} ${response.statusText}.`;
  return new Problem(response.status, detail, document, Number(response.headers.get("Retry-After") ?? 0));
}

/** @param {string} method @param {string} path @param {Options} [options] @returns {Promise<any>} */
const json = async (method, path, options) => (await request(method, path, options)).json();

// --- who asks ---------------------------------------------------------------------------------------------------------

/** @returns {Promise<import("./state.js").Session>} */
export const session = () => json("GET", "/v1/session");
/** @param {string} user @param {string} password */
export const logIn = (user, password) => request("POST", "/v1/session", { body: { user, password } });
export const logOut = () => request("DELETE", "/v1/session");

// --- keys -------------------------------------------------------------------------------------------------------------

/**
 * @typedef {{name: import("./bytes.js").Text, folder?: boolean, keys?: number, at_least?: boolean, type?: string,
 *   ttl?: number | null, size?: number}} Item
 * @typedef {{items: Item[], total: number | null, next: string | null}} Page
 */

/** A page of keys in order. @param {Record<string, any>} query @param {AbortSignal} [signal] @returns {Promise<Page>} */
export const keys = (query, signal) => patiently(() => json("GET", "/v1/keys", { query, signal }), signal);
/** The page that another one names as the next. @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export const nextPage = (path, signal) => patiently(() => json("GET", path, { signal }), signal);

const MOST_TRIES = 5;

/**
 * Ask again when the server says that it can answer in a moment: its index takes in many changes.
 * @template T @param {() => Promise<T>} ask @param {AbortSignal} [signal] @returns {Promise<T>}
 */
async function patiently(ask, signal) {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      const { status, retryAfterS } = /** @type {Problem} */ (error);
      if (status !== 503 || !retryAfterS || tries === MOST_TRIES || signal?.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryAfterS * 1000));
    }
  }
}

/**
 * How many keys begin with *prefix*; null for a user who may not read all of them.
 * @param {number} db @param {Uint8Array} prefix
 */
export const count = async (db, prefix) => (await keys({ db, prefix, limit: 1 })).total;

// The key is always in the query: a browser would take "." and ".." in a path for steps.
/** @param {number} db @param {Uint8Array} key */
const at = (db, key) => ({ db: db || undefined, key: toBase64Url(key) });

const LONG_KEY = 3000; // bytes; a longer one does not fit into an address, so it travels in a body
const LARGEST_READ = 8 << 20;
const BEGINNING = 64 << 10;

/**
 * @typedef {{bytes: Uint8Array, etag: string, ttl: number | null, readAt: number, size: number}} Value
 * `bytes` are only the beginning when `size` is larger than they are.
 */

/** @param {number} db @param {Uint8Array} key @param {{signal?: AbortSignal, moment?: string | null}} [how] @returns {Promise<Value>} */
export async function read(db, key, { signal, moment } = {}) {
  if (key.length > LONG_KEY) return readLongKey(db, key);
  const query = moment ? { ...at(db, key), at: moment } : at(db, key);
  const response = await request("GET", "/v1/keys/", { query, signal });
  const ttl = response.headers.get("Keystead-TTL");
  const size = Number(response.headers.get("Content-Length") ?? 0);
  const isLarge = size > LARGEST_READ;
  if (isLarge) await response.body?.cancel();
  const bytes = isLarge ? await beginning(db, key) : new Uint8Array(await response.arrayBuffer());
  return {
    bytes,
    etag: response.headers.get("ETag") ?? "",
    ttl: ttl === null ? null : Number(ttl),
    readAt: Date.now(),
    size: Math.max(size, bytes.length),
  };
}

/** @param {number} db @param {Uint8Array} key */
async function beginning(db, key) {
  const body = ["GETRANGE", textOf(key), "0", String(BEGINNING - 1)];
  return bytesOf({ base64: (await json("POST", "/v1/commands", { query: { db: db || undefined, reply: "base64" }, body })).reply });
}

/** @param {number} db @param {Uint8Array} key @returns {Promise<Value>} */
async function readLongKey(db, key) {
  const [found, ttl] = await batch(db, [{ op: "get", key: textOf(key) }, { op: "command", command: ["PTTL", textOf(key)] }]);
  if (found.value === null) throw new Problem(404, "There is no such key in this database.");
  const bytes = bytesOf(found.value);
  return { bytes, etag: found.etag, ttl: ttl.reply > 0 ? ttl.reply / 1000 : null, readAt: Date.now(), size: bytes.length };
}

/** Where a browser downloads the value. @param {number} db @param {Uint8Array} key @param {string | null} [moment] */
export const address = (db, key, moment) => `/v1/keys/${search({ ...at(db, key), at: moment ?? undefined })}`;

/**
 * What is inside a value that was compressed, decompressed by the browser as it does with answers: it takes more
 * encodings there than scripts are given. @param {number} db @param {Uint8Array} key
 * @param {{moment?: string | null, encoding: string, etag: string}} how *etag* of the value that was read
 */
export async function inside(db, key, { moment, encoding, etag }) {
  if (key.length > LONG_KEY) throw new Problem(0, `A value with so long a name is not decompressed from ${encoding}. Download it to look inside.`);
  const { body } = await request("GET", "/v1/keys/", { query: { ...at(db, key), at: moment ?? undefined, encoding }, headers: { "If-Match": etag } });
  return /** @type {ReadableStream<Uint8Array>} */ (body);
}

/**
 * Store a value. *etag*: only over that one; null: only if there is no such key; undefined: whatever is there.
 * @param {number} db @param {Uint8Array} key @param {Uint8Array} bytes
 * @param {{etag?: string | null, ttl?: number | "keep" | null}} [how] @returns {Promise<string>} the new entity tag
 */
export async function write(db, key, bytes, { etag, ttl } = {}) {
  if (key.length > LONG_KEY) return writeLongKey(db, key, bytes, { etag, ttl });
  const query = { ...at(db, key), ttl: typeof ttl === "number" ? ttl.toFixed(3) : (ttl ?? undefined), empty: bytes.length ? undefined : "true" };
  const response = await request("PUT", "/v1/keys/", { query, body: bytes, headers: condition(etag) });
  return response.headers.get("ETag") ?? "";
}

/** @param {number} db @param {Uint8Array} key @param {Uint8Array} bytes @param {{etag?: string | null, ttl?: number | "keep" | null}} how */
async function writeLongKey(db, key, bytes, { etag, ttl }) {
  const condition = etag === undefined ? {} : etag === null ? { if_absent: true } : { if_match: etag };
  const lifetime = ttl === "keep" ? { keep_ttl: true } : ttl ? { ttl } : {};
  const [done] = await batch(db, [{ op: "set", key: textOf(key), value: textOf(bytes), ...condition, ...lifetime }]);
  return done.etag;
}

/** @param {string | null | undefined} etag @returns {Record<string, string>} */
function condition(etag) {
  if (etag === undefined) return {};
  return etag === null ? { "If-None-Match": "*" } : { "If-Match": etag };
}

/** @param {number} db @param {Uint8Array} key @param {string} [etag] */
export async function remove(db, key, etag) {
  if (key.length > LONG_KEY) await batch(db, [{ op: "delete", key: textOf(key), ...(etag ? { if_match: etag } : {}) }]);
  else await request("DELETE", "/v1/keys/", { query: at(db, key), headers: condition(etag) });
}

/**
 * Delete all keys with a prefix, if they are *expect*. An answer "not now" says that nothing was deleted.
 * @param {number} db @param {Uint8Array} prefix @param {number} expect @returns {Promise<{deleted: number, sequence: number | null}>}
 */
export function removeAll(db, prefix, expect) {
  const query = { db: db || undefined, prefix: prefix.length ? prefix : undefined, all: prefix.length ? undefined : "true", expect };
  return patiently(() => json("DELETE", "/v1/keys", { query }));
}

/** Several operations as one. @param {number} db @param {object[]} operations @returns {Promise<any[]>} */
export const batch = async (db, operations) =>
  (await json("POST", "/v1/batch", { query: { db: db || undefined }, body: { operations } })).results;

// --- commands ---------------------------------------------------------------------------------------------------------

/** Any command; its reply as JSON. @param {number} db @param {(string | Uint8Array)[]} args @returns {Promise<any>} */
export const command = async (db, ...args) =>
  (await json("POST", "/v1/commands", { query: { db: db || undefined }, body: args.map(argument) })).reply;

/** The same with the types of the Redis protocol. @param {number} db @param {Uint8Array[]} args */
export const typedCommand = async (db, args) =>
  (await json("POST", "/v1/commands", { query: { db: db || undefined, reply: "typed" }, body: args.map(argument) })).reply;

/** @param {string | Uint8Array} arg */
const argument = (arg) => (typeof arg === "string" ? arg : textOf(arg));

/** The command table. @returns {Promise<any>} */
export const reference = () => json("GET", "/v1/reference");

// --- the server -------------------------------------------------------------------------------------------------------

/** @param {AbortSignal} [signal] */
export const statistics = (signal) => json("GET", "/v1/statistics", { signal });
/** @param {number} db @param {Uint8Array} prefix @param {string} delimiter @param {AbortSignal} [signal] */
export const memory = (db, prefix, delimiter, signal) => json("GET", "/v1/memory", { query: { db: db || undefined, prefix, delimiter }, signal });

/**
 * @typedef {{id: string, address: string, role: "primary" | "replica", primary: string | null, health: "online" | "suspected" | "failed",
 *   slots: [number, number][], keys: number | null, used_memory_bytes: number | null, max_memory_bytes: number | null, clients: number | null,
 *   ops_per_second: number | null, replication_offset: number | null, lag_bytes: number | null}} ClusterNode
 * @typedef {{state: "ok" | "down", detail: string, acknowledge: string, slots_covered: number, nodes: ClusterNode[]}} Cluster
 */

/** The cluster behind the server. @param {AbortSignal} [signal] @returns {Promise<Cluster>} */
export const cluster = (signal) => json("GET", "/v1/cluster", { signal });
export const verification = () => json("GET", "/v1/verify");
export const verify = () => request("POST", "/v1/verify");

/**
 * One backup or verification: `result` is null while it goes on.
 * @typedef {{deed: "take" | "verify", place: string, began_ms: number, ended_ms: number | null, stage: string, done_bytes: number, total_bytes: number,
 *   result: "taken" | "sound" | "damaged" | "failed" | null, reason: string, snapshot: string, copied_bytes: number, damage: string[]}} BackupRun
 * Of a place that is not among the setting's only the first three are told; null: nobody has looked yet.
 * @typedef {{place: string, may_take: boolean, remembered: {sequence: number, time_ms: number, linked: boolean} | null,
 *   snapshots?: {id: string, taken_ms: number, sequence: number, bytes: number}[] | null, stored_bytes?: number | null,
 *   damage?: string[], failure?: string, verified?: BackupRun | null}} BackupPlace
 */

/** @returns {Promise<{places: BackupPlace[], looking: boolean, running: BackupRun | null, last: BackupRun | null}>} */
export const backups = () => json("GET", "/v1/backups");
/** @param {string} place */
export const takeBackup = (place) => request("POST", "/v1/backups", { body: { place } });
/** @param {string} place */
export const verifyBackup = (place) => request("POST", "/v1/backups/verify", { body: { place } });
/** @param {number} db @param {Uint8Array} prefix @param {AbortSignal} signal */
export const exported = (db, prefix, signal) => request("GET", "/v1/export", { query: { db: db || undefined, prefix }, signal });
/**
 * Whole lines into *db*, whatever database they name.
 * @param {number} db @param {Blob} lines @param {"replace" | "keep"} existing
 * @returns {Promise<{imported: number, kept: number, expired: number}>}
 */
export const imported = (db, lines, existing) => json("POST", "/v1/import", { query: { db, existing }, body: lines });

/**
 * Follow changes as they become durable.
 * @param {{db: number, prefix: Uint8Array, values?: string}} what
 */
export const changes = ({ db, prefix, values = "none" }) =>
  new EventSource(`/v1/changes${search({ db, values, prefix_base64url: prefix.length ? toBase64Url(prefix) : undefined })}`);

// --- the past ---------------------------------------------------------------------------------------------------------

/** @param {number} db @param {Uint8Array} key @param {Record<string, any>} [query] */
export const keyHistory = (db, key, query = {}) => json("GET", "/v1/history/", { query: { ...at(db, key), ...query } });
/** @param {Record<string, any>} query */
export const differences = (query) => json("GET", "/v1/diff", { query });
/** @param {Record<string, any>} query */
export const deleted = (query) => json("GET", "/v1/deleted", { query });
/** @param {Record<string, any>} query */
export const transactions = (query) => json("GET", "/v1/transactions", { query });

/**
 * What was put back: `skipped` keys were changed since and left alone.
 * @typedef {{sequence: number, restored: number, skipped: Place[], without_expiry: Place[]}} Undone
 * @typedef {{db: number, key: import("./bytes.js").Text}} Place
 */

/**
 * Put back what a transaction changed. A Problem of status 409 names in `keys` some that were changed since.
 * @param {number} sequence @param {"refuse" | "skip" | "force"} conflicts @returns {Promise<Undone>}
 */
export const undo = (sequence, conflicts) => json("POST", `/v1/changes/${sequence}/undo`, { body: { conflicts } });

/** Give a key the value of a moment; null: the last one. @param {number} db @param {Uint8Array} key @param {number | null} moment @returns {Promise<Undone>} */
export function restore(db, key, moment) {
  if (key.length > LONG_KEY) return command(db, "KS.RESTORE", key, ...(moment === null ? ["LAST"] : ["AT", String(moment)]));
  return json("POST", "/v1/restore/", { query: at(db, key), body: moment === null ? { last: true } : { at: String(moment) } });
}

export { bytesOf };
