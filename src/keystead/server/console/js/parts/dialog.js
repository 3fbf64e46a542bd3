// Dialogs: a question, its content, its answers. The browser keeps the focus inside and gives it back afterwards.

import { button, el, fill, iconButton } from "../elements.js";
import { failed } from "./notices.js";

let dialogs = 0;

/**
 * @typedef {object} Answer
 * @property {string} label @property {"primary" | "danger" | ""} [kind]
 * @property {() => Promise<any> | any} run its result closes the dialog, unless it is false; a failure is shown in it
 */

/**
 * Ask. Resolves to what the answer's `run` returned, or undefined when the dialog was left.
 * @param {{title: string, content: (Node | string)[], answers: Answer[], size?: "wide" | "", leave?: string}} what
 */
export function ask({ title, content, answers, size = "", leave = "Cancel" }) {
  return new Promise((resolve) => {
    const id = `dialog-${++dialogs}`;
    const trouble = el("p", { class: "trouble", role: "alert" });
    let result;
    const buttons = answers.map((answer) => button(answer.label, () => act(answer), { class: answer.kind ?? "", "data-answer": true }));
    const main = answers.findIndex((answer) => answer.kind);
    const form = el(
      "form",
      { onsubmit: submit },
      el("header", {}, el("h2", { id }, title), iconButton("close", "Close", () => dialog.close())),
      el("div", { class: "dialog-content" }, ...content, trouble),
      el("footer", {}, button(leave, () => dialog.close()), ...buttons),
    );
    const dialog = el("dialog", { class: size, "aria-labelledby": id, onclose: left }, form);

    /** @param {Event} event */
    function submit(event) {
      event.preventDefault();
      if (main >= 0 && !buttons[main].disabled) act(answers[main]);
    }

    /** @param {Answer} answer */
    async function act(answer) {
      fill(trouble);
      setBusy(true);
      try {
        result = await answer.run();
        if (result !== false) dialog.close();
      } catch (error) {
        if (error instanceof Error) fill(trouble, error.message);
        else failed(error);
      } finally {
        setBusy(false);
      }
    }

    /** @param {boolean} isBusy */
    function setBusy(isBusy) {
      form.toggleAttribute("inert", isBusy);
      form.setAttribute("aria-busy", String(isBusy));
    }

    function left() {
      dialog.remove();
      resolve(result);
    }

    // Enter in a field gives the main answer: a form does that only if it has a button to submit.
    form.append(el("button", { type: "submit", hidden: true, tabindex: "-1" }, "Submit"));
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
  });
}

/** Yes or no. @param {string} title @param {string} question @param {string} yes @param {"primary" | "danger"} [kind] */
export const confirmed = async (title, question, yes, kind = "danger") =>
  (await ask({ title, content: [el("p", {}, question)], answers: [{ label: yes, kind, run: () => true }] })) === true;
