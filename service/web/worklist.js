// The clips of this tab: handed in, followed, put in order, the worst first. What is known of them lasts as long as the tab.
import * as api from "./api.js";
import { Gate } from "./gate.js";
import { t } from "./texts.js";

const KEPT = "seashore-worklist";
const SENT_AT_ONCE = 2;
const FOLLOWED_AT_ONCE = 2;
const RANK = ["failed", "lost", "absent", "lung_point", "indeterminate", "not_assessable", "present", "running", "waiting", "sending"];

export const MARKS = { present: "✓", absent: "✕", lung_point: "◐", indeterminate: "?", not_assessable: "–", failed: "!", lost: "!" };

/** One clip. `standing` is one of RANK; of a finished one its tone. */
class Entry {
  constructor(name, file = null, id = null) {
    Object.assign(this, { name, file, id, standing: id ? "waiting" : "sending", share: 0, stage: "", problem: null, options: {} });
    this.stop = () => {};
  }
}

export class Worklist extends EventTarget {
  constructor() {
    super();
    this.entries = [];
    this.sending = new Gate(SENT_AT_ONCE);
    this.following = new Gate(FOLLOWED_AT_ONCE);
    for (const { id, name, standing } of JSON.parse(sessionStorage.getItem(KEPT) ?? "[]")) this._follow(this._add(new Entry(name, null, id)), standing);
  }

  get ranked() {
    return [...this.entries].sort((a, b) => RANK.indexOf(a.standing) - RANK.indexOf(b.standing));
  }

  find(id) {
    return this.entries.find((entry) => entry.id === id);
  }

  /** A clip that was handed in from elsewhere: a link. */
  watch(id) {
    return this.find(id) ?? this._follow(this._add(new Entry(id.slice(0, 8), null, id)));
  }

  hand(file, { name = file.name, options = {} } = {}) {
    const entry = this._add(new Entry(name, file));
    entry.options = options;
    this.send(entry);
    return entry;
  }

  async send(entry) {
    const going = new AbortController();
    entry.stop = () => going.abort();
    Object.assign(entry, { standing: "sending", share: 0, problem: null });
    this._tell(entry);
    let done = () => {};
    try {
      done = await this.sending.enter(going.signal);
      const job = await api.handIn(entry.file, entry.options, (share) => this._note(entry, { share }), going.signal);
      entry.id = job.id;
      entry.standing = "waiting";
      this._follow(entry);
    } catch (error) {
      if (error.name === "AbortError") return;
      this._note(entry, { standing: error.code === "unreachable" ? "lost" : "failed", problem: error });
    } finally {
      done();
    }
  }

  /** Whatever it is at, it ends, and nothing is kept of it. */
  async remove(entry) {
    entry.stop();
    this.entries = this.entries.filter((other) => other !== entry);
    this._keep();
    this.dispatchEvent(new CustomEvent("removed", { detail: entry }));
    this._tell(null);
    if (entry.id) await api.remove(entry.id).catch(() => {}); // it may be gone already
  }

  /** Once the answer is here: a verdict alone does not tell a lung point. */
  grade(entry, standing) {
    this._note(entry, { standing });
    this._keep();
  }

  _add(entry) {
    this.entries.push(entry);
    return entry;
  }

  _follow(entry, standing = "waiting") {
    entry.standing = standing;
    this._keep();
    const going = new AbortController();
    entry.stop = () => going.abort();
    this._listen(entry, going.signal).catch((error) => {
      if (error.name !== "AbortError") throw error;
    });
    this._tell(entry);
    return entry;
  }

  async _listen(entry, signal) {
    const done = await this.following.enter(signal);
    const stop = api.follow(entry.id, (job) => {
      if (!["queued", "running"].includes(job.state)) done();
      this._hear(entry, job);
    });
    signal.addEventListener("abort", () => {
      stop();
      done();
    });
  }

  _hear(entry, { state, progress, verdict, problem }) {
    if (state === "deleted") return this._note(entry, { standing: "failed", problem: new api.Problem({ title: t("gone"), code: "gone" }) });
    if (problem) return this._note(entry, { standing: "failed", problem: new api.Problem(problem) });
    if (state === "done") {
      this._note(entry, { standing: entry.standing === "lung_point" ? "lung_point" : (verdict ?? "failed") });
      this._keep();
      return this.dispatchEvent(new CustomEvent("done", { detail: entry }));
    }
    this._note(entry, state === "queued" ? { standing: "waiting" } : { standing: "running", share: progress?.share ?? 0, stage: progress?.stage ?? "decode" });
  }

  _note(entry, news) {
    Object.assign(entry, news);
    this._tell(entry);
  }

  _tell(entry) {
    this.dispatchEvent(new CustomEvent("changed", { detail: entry }));
  }

  /** In this tab only: a file's name may be a patient's. */
  _keep() {
    const kept = this.entries.filter((entry) => entry.id).map(({ id, name, standing }) => ({ id, name, standing }));
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
  }
}

/** How an entry stands, in words. */
export function standing({ standing: now, share, stage }) {
  const percent = Math.round(share * 100);
  if (now === "sending") return t("sending", { percent });
  if (now === "waiting") return t("waiting");
  if (now === "running") return t(stage === "model" || stage === "pleura" || stage === "done" ? `stage_${stage}` : "stage_decode", { percent });
  return t(now === "lost" ? "short_failed" : `short_${now}`);
}
