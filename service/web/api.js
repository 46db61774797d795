// The service's addresses, as the page asks them. Everything that fails is a Problem: a title, a sentence, a stable code.
import { fetchKnown, signIn } from "./signin.js";
import { t } from "./texts.js";

const JOBS = "v1/jobs";

export class Problem extends Error {
  constructor({ title = "", detail = "", code = "", status = 0 }) {
    super(detail);
    Object.assign(this, { title, code, status });
  }
}

const lost = () => new Problem({ title: t("unreachable"), detail: t("lost"), code: "unreachable" });

async function problemOf(status, text) {
  try {
    return new Problem({ ...JSON.parse(text), status });
  } catch {
    return new Problem({ title: t("odd_answer"), detail: t("status", { status }), code: `status_${status}`, status });
  }
}

async function ask(address, options = {}) {
  let response;
  try {
    response = await fetchKnown(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: t("unreachable"), detail: t("unreachable"), code: "unreachable" });
  }
  if (!response.ok) throw await problemOf(response.status, await response.text());
  return response;
}

/** Hand a clip in; `onShare` hears how much of it is sent. Resolves with the job. */
export function handIn(clip, options, onShare, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch cannot tell how much has been sent
    request.open("POST", `${JOBS}?${new URLSearchParams({ awaited: true, ...options })}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onShare(event.loaded / event.total));
    request.addEventListener("load", async () => {
      if (request.status === 200 || request.status === 202) resolve(JSON.parse(request.responseText));
      else if (request.status === 401) signIn().then(() => resolve(handIn(clip, options, onShare, signal)));
      else if (request.status === 404) reject(new Problem({ title: t("unreachable"), detail: t("no_jobs"), code: "no_jobs", status: 404 }));
      else reject(await problemOf(request.status, request.responseText));
    });
    request.addEventListener("error", () => reject(lost()));
    request.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(clip);
  });
}

/** Hear of a job until it has ended, through lost connections as well. `onJob` gets it each time it has changed. Returns a way to stop. */
export function follow(id, onJob) {
  let events = null;
  let isStopped = false;
  const hear = (event) => {
    if (event.type !== "progress") events.close();
    onJob(JSON.parse(event.data));
  };
  const listen = () => {
    events = new EventSource(`${JOBS}/${id}/events`);
    for (const kind of ["progress", "done", "failed"]) events.addEventListener(kind, hear);
    events.addEventListener("error", () => events.readyState === EventSource.CLOSED && refused()); // else it tries again by itself
  };
  const refused = async () => {
    try {
      await job(id); // which asks for a key where that is what was lacking
      if (!isStopped) listen();
    } catch (error) {
      if (error.status === 404) onJob({ id, state: "deleted" });
      else setTimeout(() => isStopped || listen(), 5000);
    }
  };
  listen();
  return () => {
    isStopped = true;
    events.close();
  };
}

export const job = async (id) => (await ask(`${JOBS}/${id}`)).json();
export const remove = (id) => ask(`${JOBS}/${id}`, { method: "DELETE" });
export const result = async (id, accept = "application/json") => (await ask(`${JOBS}/${id}/result`, { headers: { accept } })).blob();

const PATIENCE = 60; // times a service that is too busy is asked again

/** The index of a job's pictures. While they are being drawn `onShare` hears how far that is, 0..1. */
export async function frames(id, signal, onShare) {
  for (let busy = 0; ; ) {
    let seconds = 0.2;
    try {
      const response = await ask(`${JOBS}/${id}/frames`, { signal });
      const said = await response.json();
      if (response.status !== 202) return said;
      onShare(said.share);
    } catch (error) {
      if (![429, 503, 504].includes(error.status) || ++busy === PATIENCE) throw error;
      seconds = 5;
    }
    await new Promise((later) => setTimeout(later, 1000 * seconds));
    signal.throwIfAborted();
  }
}

export const ready = () => ask("readyz");
export const models = async () => (await ask("v1/models")).json();

/** Bytes [first, end) of a job's pictures. */
export async function frameBytes(id, first, end, signal) {
  return (await ask(`${JOBS}/${id}/frames/data`, { headers: { range: `bytes=${first}-${end - 1}` }, signal })).arrayBuffer();
}

export async function mmode(id, [x0, y0], [x1, y1], signal) {
  const point = (x, y) => `${x.toFixed(2)},${y.toFixed(2)}`;
  return (await ask(`${JOBS}/${id}/mmode?${new URLSearchParams({ from: point(x0, y0), to: point(x1, y1) })}`, { signal })).blob();
}

/** `sign`: what the reader sees of sliding; null where they do not say. */
export const say = (id, opinion, sign, note) =>
  ask(`${JOBS}/${id}/feedback`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ opinion, sign, note }) });
