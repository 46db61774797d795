// What the reader says of an answer. Who disagrees is asked what they see instead: only that can be learned from.
import * as api from "./api.js";
import { $ } from "./dom.js";
import { t } from "./texts.js";
import { tone } from "./words.js";

/** What each answer says, and a disagreement with it cannot mean. */
const SAID = { present: "present", absent: "absent", lung_point: "lung_point", indeterminate: "cannot_tell", not_assessable: "cannot_tell" };

export class Opinion {
  constructor() {
    this.job = this.answer = null;
    for (const button of document.querySelectorAll("[data-opinion]")) button.addEventListener("click", () => this._choose(button.dataset.opinion));
    for (const button of document.querySelectorAll("[data-sign]")) button.addEventListener("click", () => this._say("disagree", button.dataset.sign));
  }

  /** Asks about another answer, or about none. */
  ask(job = null, answer = null) {
    this.job = job;
    this.answer = answer;
    this._open(false);
    $("opinion-kept").textContent = $("opinion-note").value = "";
  }

  _open(isOpen) {
    $("opinion-signs").hidden = !isOpen;
    document.querySelector("[data-opinion=disagree]").setAttribute("aria-expanded", String(isOpen));
  }

  _choose(opinion) {
    $("opinion-kept").textContent = "";
    this._open(opinion === "disagree");
    if (opinion !== "disagree") {
      this._say(opinion, null);
      return;
    }
    const said = SAID[tone(this.answer)];
    for (const button of document.querySelectorAll("[data-sign]")) button.hidden = button.dataset.sign === said;
    document.querySelector("[data-sign]:not([hidden])").focus();
  }

  async _say(opinion, sign) {
    const { job } = this;
    let told;
    try {
      await api.say(job, opinion, sign, $("opinion-note").value);
      told = t("opinion_kept");
    } catch (error) {
      if (!(error instanceof api.Problem)) throw error;
      told = error.message;
    }
    if (this.job !== job) return;
    $("opinion-kept").textContent = told;
    this._open(false);
  }
}
