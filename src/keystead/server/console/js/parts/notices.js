// Notices: what happened, what to do about it, and a way back where there is one. Read out by screen readers. They stay
// until dismissed when something failed, else for ten seconds.

import { button, el, iconButton } from "../elements.js";

const SHOWN_MS = 10_000;
const MOST = 4;

const place = el("div", { class: "notices", role: "region", "aria-label": "Notices" });

/** Where notices appear. */
export const notices = () => place;

/**
 * @param {string} text
 * @param {{kind?: "done" | "failed", action?: {label: string, run: () => void | Promise<void>}}} [how]
 */
export function notice(text, { kind = "done", action } = {}) {
  const shown = el("div", { class: ["notice", kind], role: kind === "failed" ? "alert" : "status" }, el("p", {}, text));
  const dismiss = () => shown.remove();
  if (action) {
    const act = async () => {
      dismiss();
      await reporting(async () => action.run());
    };
    shown.append(button(action.label, act, { class: "link" }));
  }
  shown.append(iconButton("close", "Dismiss", dismiss));
  place.append(shown);
  while (place.children.length > MOST) place.firstElementChild?.remove();
  if (kind === "done") setTimeout(dismiss, SHOWN_MS);
}

/** Say what went wrong. @param {unknown} error */
export function failed(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  const detail = error instanceof Error ? error.message : String(error);
  notice(detail || "Something went wrong in the console itself. Load the page again.", { kind: "failed" });
}

/** Do *what*; say so when it fails. Whether it succeeded. @param {() => Promise<unknown>} what */
export async function reporting(what) {
  try {
    await what();
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}
