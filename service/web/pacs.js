// The PACS on the administrator's page: what came, what waits for whom, and doing it again.
import { age, figure, fill, when } from "./admin_parts.js";
import { $, element, own } from "./dom.js";
import { fetchKnown } from "./signin.js";
import { has, t } from "./texts.js";

const SHOWN_DEAD = 50; // each has a button; the command line sends thousands again at once

let refresh = () => {};

export async function showPacs(node, again) {
  refresh = again;
  $("pacs-none").hidden = node.settings.site;
  $("pacs-parts").hidden = !node.settings.site;
  if (!node.settings.site || !node.destinations) return;
  try {
    show(await json("pacs/queue"));
  } catch (error) {
    if (!(error instanceof TypeError)) $("said").textContent = error.message; // what cannot be reached is told in the first line
  }
}

async function json(url, options) {
  const response = await fetchKnown(url, { headers: { Accept: "application/json" }, ...options });
  const said = await response.json().catch(() => ({ detail: t("status", { status: response.status }) }));
  if (!response.ok) throw new Error(said.detail ?? said.title);
  return said;
}

function queueCard(queue) {
  const state = queue.dead ? "dead" : queue.waiting ? "waits" : queue.delivered ? "well" : "idle";
  const card = element("li", "", state);
  const name = element("p", queue.destination, "name");
  name.append(element("span", `: ${t(`state_${state}`)}`, "queue-state"));
  const figures = element("p", "", "figures");
  const waiting = queue.waiting ? t("queue_oldest", { age: age(queue.oldest_waiting_s) }) : t("queue_waiting");
  figures.append(figure(queue.waiting, waiting), figure(queue.delivered, t("delivered")), figure(queue.dead, t("given_up")));
  card.append(name, figures);
  if (queue.last_failure) {
    const failure = element("p", `${t("last_failure")} `, "failure");
    failure.append(own(queue.last_failure, "span"));
    card.append(failure);
  }
  return card;
}

function letter({ id, to, because, action }) {
  const item = element("li", "", "letter");
  const words = element("div");
  words.append(element("p", to, "name"), own(because), element("p", id, "id"));
  const button = element("button", action, "quiet");
  button.type = "button";
  button.dataset.id = id;
  button.setAttribute("aria-label", `${action}: ${id}`);
  button.addEventListener("click", () => again(button));
  item.append(words, button);
  return item;
}

function recentRow(instance) {
  const row = element("tr");
  const came = element("td");
  came.append(when(instance.came_at));
  const job = element("td", instance.job.slice(0, 12));
  job.title = instance.job;
  const because = has(`verdict_${instance.because}`) ? element("td", t(`verdict_${instance.because}`)) : own(instance.because, "td");
  row.append(came, job, element("td", stage(instance.stage)), because);
  return row;
}

const stage = (name) => (has(`stage_${name}`) ? t(`stage_${name}`) : name);

function show(found) {
  fill($("destinations"), found.destinations, queueCard);
  $("no-destinations").hidden = found.destinations.length > 0;

  const dead = found.dead.map((one) => ({ id: one.id, to: t("to", one), because: one.because || t("broke_off"), action: t("send_again") }));
  const unread = found.unread.map((one) => ({ id: one.job, to: t("not_read"), because: one.because, action: t("read_again") }));
  fill($("dead"), [...dead, ...unread].slice(0, SHOWN_DEAD), letter);
  $("dead-part").hidden = dead.length + unread.length === 0;

  const waiting = found.waiting.map((one) => ({ id: one.id, to: t("to", one), because: one.because || t("turn"), action: t("try_now") }));
  fill($("waiting"), waiting, letter);
  $("waiting-part").hidden = waiting.length === 0;
  const all = found.destinations.reduce((sum, queue) => sum + queue.waiting, 0);
  $("waiting-note").textContent = all > waiting.length ? t("waits_note_many", { shown: waiting.length, all }) : t("waits_note");

  const counts = Object.entries(found.instances).filter(([, count]) => count > 0);
  fill($("counts"), counts, ([name, count]) => {
    const item = element("li");
    item.append(figure(count, stage(name)));
    return item;
  });
  fill($("recent"), found.recent, recentRow);
  $("nothing-came").hidden = counts.length > 0;
  $("recent-part").hidden = found.recent.length === 0;
}

async function again(button) {
  button.disabled = true;
  try {
    $("said").textContent = (await json(`pacs/retry/${encodeURIComponent(button.dataset.id)}`, { method: "POST" })).done;
  } catch (error) {
    $("said").textContent = error instanceof TypeError ? t("nothing_done") : error.message;
    button.disabled = false;
  }
  await refresh();
}
