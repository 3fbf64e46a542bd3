// JSON read so that nothing of it is lost: numbers stay as they are written (a browser's own would round those over 2^53),
// members stay in order, also when a name comes twice. Errors name line and column.

/**
 * @typedef {{kind: "string", text: string} | {kind: "number" | "word" | "other", text: string}
 *   | {kind: "array", items: Tree[]} | {kind: "object", members: [Tree, Tree][]}} Tree
 * Also what other formats (see msgpack) are read into; "other" is what JSON has no name for.
 */

const DEEPEST = 500;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\r\n]*/y;

/** @param {string} text @returns {Tree} */
export function parse(text) {
  const reader = new Reader(text);
  const tree = reader.value(0);
  reader.space();
  if (reader.at < text.length) reader.fail("there is more after the end");
  return tree;
}

class Reader {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  /** @param {string} why @returns {never} */
  fail(why) {
    const before = this.text.slice(0, this.at);
    const line = before.split("\n").length;
    const column = this.at - before.lastIndexOf("\n");
    throw new SyntaxError(`This is not JSON: ${why} (line ${line}, column ${column}).`);
  }

  space() {
    this.take(SPACE);
  }

  /** @param {RegExp} pattern */
  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) return null;
    this.at = pattern.lastIndex;
    return found[0];
  }

  /** @param {number} depth @returns {Tree} */
  value(depth) {
    if (depth > DEEPEST) this.fail("it is nested too deeply to be shown");
    this.space();
    const character = this.text[this.at];
    if (character === "{") return { kind: "object", members: this.list("}", () => this.member(depth)) };
    if (character === "[") return { kind: "array", items: this.list("]", () => this.value(depth + 1)) };
    if (character === '"') return this.string();
    const number = this.take(NUMBER);
    if (number !== null) return { kind: "number", text: number };
    const word = this.take(WORD);
    if (word === null) this.fail(this.at < this.text.length ? "a value was expected" : "it ends early");
    return { kind: "word", text: /** @type {string} */ (word) };
  }

  /** @returns {{kind: "string", text: string}} */
  string() {
    const written = this.take(STRING);
    if (written === null) this.fail(this.text[this.at] === '"' ? "a string does not end, or holds a bare control character" : "a name in quotes was expected");
    return { kind: "string", text: JSON.parse(/** @type {string} */ (written)) };
  }

  /** @param {number} depth @returns {[Tree, Tree]} */
  member(depth) {
    this.space();
    const name = this.string();
    this.space();
    if (this.text[this.at] !== ":") this.fail("a colon was expected");
    this.at += 1;
    return [name, this.value(depth + 1)];
  }

  /** @template T @param {string} end @param {() => T} element @returns {T[]} */
  list(end, element) {
    /** @type {T[]} */
    const found = [];
    this.at += 1;
    this.space();
    if (this.text[this.at] === end) {
      this.at += 1;
      return found;
    }
    for (;;) {
      found.push(element());
      this.space();
      const character = this.text[this.at];
      if (character !== "," && character !== end) this.fail(`a comma or ${end} was expected`);
      this.at += 1;
      if (character === end) return found;
    }
  }
}

/** The tree as text, in lines. @param {Tree} tree @param {string} [indent] @returns {string} */
export function pretty(tree, indent = "") {
  const inner = `${indent}  `;
  if (tree.kind === "array") return lines("[", tree.items.map((item) => inner + pretty(item, inner)), `${indent}]`);
  if (tree.kind === "object") {
    return lines("{", tree.members.map(([name, item]) => `${inner}${pretty(name)}: ${pretty(item, inner)}`), `${indent}}`);
  }
  return tree.kind === "string" ? JSON.stringify(tree.text) : tree.text;
}

/** @param {string} open @param {string[]} parts @param {string} close */
const lines = (open, parts, close) => (parts.length ? `${open}\n${parts.join(",\n")}\n${close}` : open + close.trim());
