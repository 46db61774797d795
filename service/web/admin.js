// The administrator's page: asks how the node is every few seconds, and says it in words. Lists that say the same are left alone,
// so that scroll, focus and open details stay where they are.
import { $, element, own } from "./dom.js";
import { letChoose } from "./header.js";
import { showPacs } from "./pacs.js";
import { age, clock, fill, figure, size, when } from "./admin_parts.js";
import { fetchKnown } from "./signin.js";
import { has, learn, number, spoken, t, translate } from "./texts.js";
import { texts as en } from "./texts/admin/en.js";
import { texts as sk } from "./texts/admin/sk.js";

const EVERY_MS = 4000;
const MARKS = { well: "✓", attention: "!", not_ready: "✕" };

learn({ en, sk });
let node = null;
let isLost = false;

// -- the first line ---------------------------------------------------------------------------------------------------

function sentence(problem) {
  const values = {
    ...problem,
    time: problem.since ? clock(problem.since) : "",
    part: has(`part_${problem.subject}`) ? t(`part_${problem.subject}`) : problem.subject,
    free: node.disk ? size(node.disk.free_bytes) : "",
    needed: node.disk ? size(node.disk.needed_bytes) : "",
  };
  return t(`problem_${problem.kind}`, values);
}

function advice(problem) {
  const keys = [`do_${problem.kind}_${problem.code}`, `do_${problem.kind}_${problem.subject}`, `do_${problem.kind}`];
  return t(keys.find(has));
}

function headline() {
  if (node.problems.length) return sentence(node.problems[0]);
  const loaded = node.models?.filter((model) => model.presence === "loaded") ?? [];
  const device = (loaded.find((model) => model.default) ?? loaded[0])?.device;
  return t("well", { device: (device ?? "").replace(/^cpu/, "CPU"), models: loaded.length, waiting: node.queue.waiting + (node.jobs?.waiting ?? 0) });
}

function problemLine([said, todo, detail]) {
  const item = element("li");
  if (said) item.append(element("p", said, "problem-said"));
  if (detail) item.append(own(detail));
  item.append(element("p", todo, "todo"));
  return item;
}

function showHealth() {
  const health = isLost ? "not_ready" : node?.health;
  $("health").className = `card health ${health ?? ""}`;
  $("mark").textContent = MARKS[health] ?? "…";
  $("state").textContent = health === "well" ? t("node_name", { name: node.node }) : health ? t(`${health}_short`) : "";
  say("headline", isLost ? t("admin_unreachable") : node ? headline() : t("admin_loading"));
  const lines = isLost ? [["", t("admin_unreachable_do"), ""]] : (node?.problems ?? []).map((problem, at) => {
    const isTold = sentence(problem).includes(problem.detail);
    return [at ? sentence(problem) : "", advice(problem), isTold ? "" : problem.detail];
  });
  fill($("problems"), lines, problemLine);
}

/** Only what has changed: a screen reader says it again otherwise. */
function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

// -- the parts ----------------------------------------------------------------------------------------------------------

const figures = (id, pairs) => fill($(id), pairs.map(([value, words]) => [value, words]), ([value, words]) => {
  const item = element("li");
  item.append(figure(value, words));
  return item;
});

function showWork() {
  const { queue, jobs, processes } = node;
  figures("queue", [[queue.reading, t("reading_now")], [queue.waiting, t("waiting_now")], [number(queue.wait_s, 0), t("work_before")]]);
  say("queue-limits", t("queue_limits", { reading: queue.max_reading, waiting: queue.max_waiting, seconds: queue.max_wait_s }));
  figures("jobs", jobs ? ["waiting", "reading", "read", "refused", "failed"].map((state) => [jobs[state], t(`jobs_${state}`)]) : []);
  const within = t("jobs_within", { hours: node.settings.job_keep_hours });
  const oldest = jobs?.waiting ? `${t("jobs_oldest", { age: age(jobs.oldest_waiting_s) })} ` : "";
  say("jobs-note", jobs ? oldest + within : t(node.settings.jobs ? "not_seen" : "jobs_off"));
  $("processes-part").hidden = processes === null;
  if (processes) say("processes", [t("processes_alive", processes), t("processes_busy", { n: processes.busy }), t("processes_lost", { n: processes.lost })].join(" · "));
}

function modelLine(model) {
  const presence = model.device ? `${t("presence_loaded")} ${t("on_device", model)}` : t(`presence_${model.presence}`);
  return bundleLine(model, model.default ? `${presence} · ${t("default_model")}` : presence);
}

function signLine(sign) {
  const told = sign.signs.map((name) => t(`sign_${name}`)).join(", ");
  return bundleLine(sign, [t(`sign_${sign.device && sign.code ? "ill" : sign.presence}`, sign), told].filter(Boolean).join(" · "));
}

/** A bundle of the store; one that cannot be asked stands out, with the reason. */
function bundleLine({ name, version, sha256, presence, detail }, said) {
  const item = element("li", "", detail ? "refused" : presence);
  item.append(element("p", `${name} ${version}`, "name"), element("p", said));
  if (detail) item.append(own(detail));
  if (sha256) item.append(element("p", `${t("digest")} ${sha256}`, "id"));
  return item;
}

function bundles(id, found, line, none) {
  fill($(id), found ?? [], line);
  if (!found?.length) fill($(id), [found ? t(none) : t("not_seen")], (text) => element("li", text, "note"));
}

function showModels() {
  bundles("models", node.models, modelLine, "no_models");
  bundles("signs", node.signs, signLine, "no_signs");
  const { device, disk } = node;
  const memory = device?.memory_bytes ? t("memory", { free: size(device.free_memory_bytes), all: size(device.memory_bytes) }) : "";
  say("device", device ? [device.name, device.cores ? t("cores", { n: device.cores }) : "", memory].filter(Boolean).join(" · ") : t("not_seen"));
  $("disk-part").hidden = !node.settings.jobs;
  $("disk-meter").hidden = !disk;
  $("disk-meter").value = disk ? 1 - disk.free_bytes / disk.total_bytes : 0;
  const jobs = disk?.jobs_bytes == null ? t("disk_counting") : t("disk_jobs", { bytes: size(disk.jobs_bytes) });
  say("disk", disk ? `${t("disk_free", { free: size(disk.free_bytes), all: size(disk.total_bytes) })} · ${jobs}` : t("not_seen"));
}

function failureLine({ at, code, detail, job, count }) {
  const item = element("li");
  const head = element("p", "", "failure-head");
  if (count > 1) head.append(`${t("failure_times", { count })} `);
  head.append(when(at), ` · ${job ? t("failure_job", { id: job.slice(0, 12) }) : t("failure_request")} · `, element("code", code));
  item.append(head, own(detail));
  return item;
}

function showFailures() {
  fill($("failures"), node.failures, failureLine);
  $("no-failures").hidden = node.failures.length > 0;
}

const plain = (value) => (value === null ? t("unset") : typeof value === "boolean" ? t(value ? "yes" : "no") : String(value));

function facts(id, pairs) {
  const key = JSON.stringify(pairs);
  if ($(id).dataset.key === key) return;
  $(id).dataset.key = key;
  $(id).replaceChildren(...pairs.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

function showVersions() {
  const lasted = (new Date(node.at) - new Date(node.started_at)) / 1000;
  say("node", `${t("node_name", { name: node.node })} · ${t("started", { time: clock(node.started_at), age: age(lasted) })}`);
  facts("versions", Object.entries(node.versions ?? {}));
  facts("settings", Object.entries(node.settings).map(([name, value]) => [name, plain(value)]));
}

function show() {
  showHealth();
  if (!node) return;
  say("updated", t("admin_updated", { time: new Date(node.at).toLocaleTimeString(spoken()) }));
  showWork();
  showModels();
  showFailures();
  showVersions();
  showPacs(node, refresh);
}

// -- asking, copying, speaking ----------------------------------------------------------------------------------------

async function refresh() {
  try {
    const response = await fetchKnown("v1/node", { headers: { accept: "application/json" } });
    if (!response.ok) throw new TypeError("no answer");
    node = await response.json();
    isLost = false;
  } catch (error) {
    if (!(error instanceof TypeError) && !(error instanceof SyntaxError)) throw error;
    isLost = true;
  }
  show();
}

/** Everything the node says, line by line: what support asks for first. In English, as the API says it. */
function report() {
  const lines = (value, path) =>
    value !== null && typeof value === "object"
      ? Object.entries(value).flatMap(([key, inner]) => lines(inner, path ? `${path}.${key}` : key))
      : [`${path}: ${value === null ? "-" : value}`];
  return [`Seashore ${node.versions?.seashore ?? ""}: ${node.health}`, ...lines(node, "")].join("\n");
}

$("copy").addEventListener("click", async () => {
  if (!node) return;
  try {
    await navigator.clipboard.writeText(report());
    $("copied").textContent = t("copied");
  } catch {
    // without HTTPS a browser copies for a page only on the machine itself
    $("report").value = report();
    $("report").hidden = false;
    $("report").select();
    $("copied").textContent = t("copy_failed");
  }
});

letChoose(() => {
  for (const list of document.querySelectorAll("[data-key]")) delete list.dataset.key;
  show();
});

/** A part that cannot be shown must not end the watch over all others: the error is the browser's to tell. */
async function watch() {
  try {
    if (!document.hidden) await refresh();
  } finally {
    setTimeout(watch, EVERY_MS);
  }
}

document.addEventListener("visibilitychange", () => document.hidden || refresh());
translate(document);
watch();
