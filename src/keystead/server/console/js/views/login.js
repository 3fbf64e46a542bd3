// Logging in with a user of the server.

import * as api from "../api.js";
import { el, field, fill } from "../elements.js";

/** @param {HTMLElement} place @param {() => void} done */
export function showLogin(place, done) {
  const user = el("input", { name: "user", autocomplete: "username", required: true, value: "default", autocapitalize: "none", spellcheck: "false" });
  const password = el("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const trouble = el("p", { class: "trouble", role: "alert" });
  const submit = el("button", { type: "submit", class: "primary" }, "Log in");

  /** @param {Event} event */
  async function logIn(event) {
    event.preventDefault();
    submit.disabled = true;
    fill(trouble);
    try {
      await api.logIn(user.value, password.value);
      done();
    } catch (error) {
      fill(trouble, explained(/** @type {api.Problem} */ (error)));
      password.select();
    } finally {
      submit.disabled = false;
    }
  }

  fill(
    place,
    el("main", { class: "login" },
      el("form", { class: "card", onsubmit: logIn },
        el("img", { src: "/console/icon.svg", alt: "", width: "44", height: "44" }),
        el("h1", {}, "Keystead"),
        el("p", { class: "quiet" }, "Log in with a user of this server."),
        field("User", user),
        field("Password", password),
        trouble,
        submit,
      ),
    ),
  );
  password.focus();
}

/** @param {api.Problem} problem */
function explained(problem) {
  if (problem.status === 401) return "This server knows no such user with this password. Whoever runs it lists users with keystead user list.";
  if (problem.status === 429) return "There were too many wrong logins from here. Wait a minute, then try again.";
  return problem.message;
}
