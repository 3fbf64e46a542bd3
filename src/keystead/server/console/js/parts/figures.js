// Numbers as people read them.

const whole = new Intl.NumberFormat("en");

/** @param {number} number */
export const counted = (number) => whole.format(number);

/** "1 key", "2 keys". @param {number} number @param {string} noun @param {string} [nouns] */
export const plural = (number, noun, nouns = `${noun}s`) => `${counted(number)} ${number === 1 ? noun : nouns}`;

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return plural(bytes, "byte");
  let amount = bytes / 1024;
  let unit = 0;
  while (amount >= 1023.95 && unit < 3) {
    amount /= 1024;
    unit += 1;
  }
  return `${amount < 10 ? amount.toFixed(1) : Math.round(amount)} ${["KB", "MB", "GB", "TB"][unit]}`;
}

/** A span of time in its two largest units. @param {number} seconds */
export function span(seconds) {
  if (seconds < 1) return `${Math.max(0, seconds).toFixed(1)} s`;
  const units = [
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ];
  const first = units.findIndex(([, length]) => seconds >= length);
  const parts = [];
  let left = Math.floor(seconds);
  for (const [name, length] of units.slice(first, first + 2)) {
    parts.push(`${Math.floor(left / length)} ${name}`);
    left %= length;
  }
  return parts.filter((part, place) => place === 0 || !part.startsWith("0 ")).join(" ");
}

/** Microseconds and up, three figures. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 1e-3) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toPrecision(3)} ms`;
  return `${seconds.toPrecision(3)} s`;
}

/** A moment in the reader's zone. @param {number} ms */
export const moment = (ms) =>
  new Date(ms).toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "medium" });

/** Only the time of the day, with milliseconds. @param {number} ms */
export const timeOfDay = (ms) => `${new Date(ms).toLocaleTimeString("sv-SE")}.${String(ms % 1000).padStart(3, "0")}`;

/** "90", "90s", "15m", "2h", "7d" in seconds; null for anything else. @param {string} typed */
export function seconds(typed) {
  const found = /^\s*(\d+(?:\.\d{1,3})?)\s*([smhdw]?)\s*$/i.exec(typed);
  if (!found) return null;
  const unit = { "": 1, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }[found[2].toLowerCase()] ?? 1;
  const total = Number(found[1]) * unit;
  return total > 0 && total <= 1e12 ? total : null;
}
