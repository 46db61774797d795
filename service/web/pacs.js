// The queue page: asks for the queues every five seconds, and sends dead letters again.

const $ = (id) => document.getElementById(id);
const EVERY_MS = 5000;
const STAGES = { waiting: "waiting", reading: "being read", read: "read", skipped: "left out", not_read: "not read", cancelled: "cancelled" };
const VERDICTS = { present: "sliding present", absent: "sliding absent", indeterminate: "cannot tell", not_assessable: "not assessable" };
const SHOWN_DEAD = 50; // each has a button; the command line sends thousands again at once

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function json(url, options) {
  const response = await fetch(url, { headers: { Accept: "application/json" }, ...options });
  const said = await response.json().catch(() => ({ detail: `The service answered with status ${response.status}.` }));
  if (!response.ok) throw new Error(said.detail ?? said.title);
  return said;
}

/** "3 min": one unit, rounded down. */
function age(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

function figure(value, words) {
  const made = element("span");
  made.append(element("b", String(value)), ` ${words}`);
  return made;
}

function queueCard(queue) {
  const state = queue.dead ? "dead" : queue.waiting ? "waits" : queue.delivered ? "well" : "idle";
  const card = element("li", "", state);
  const name = element("p", queue.destination, "queue-name");
  name.append(element("span", { dead: ": results were given up", waits: ": results wait", well: ": all delivered", idle: ": nothing sent yet" }[state], "queue-state"));
  const figures = element("p", "", "figures");
  const waiting = queue.waiting ? `waiting, the oldest for ${age(queue.oldest_waiting_s)}` : "waiting";
  figures.append(figure(queue.waiting, waiting), figure(queue.delivered, "delivered"), figure(queue.dead, "given up"));
  card.append(name, figures);
  if (queue.last_failure) card.append(element("p", `Last failure: ${queue.last_failure}`, "failure"));
  return card;
}

function letter({ id, to, because, action }) {
  const item = element("li");
  const words = element("div");
  words.append(element("p", to, "letter-to"), element("p", because), element("p", id, "letter-id"));
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
  const time = element("time", new Date(instance.came_at).toLocaleString([], { dateStyle: "short", timeStyle: "medium" }));
  time.dateTime = instance.came_at;
  came.append(time);
  const job = element("td", instance.job.slice(0, 12));
  job.title = instance.job;
  row.append(came, job, element("td", STAGES[instance.stage] ?? instance.stage), element("td", VERDICTS[instance.because] ?? instance.because));
  return row;
}

/** Put items in a list, but leave it alone while it says the same: a button under the pointer or the keyboard stays. */
function fill(list, described, make) {
  const key = JSON.stringify(described);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...described.map(make));
}

function show(found) {
  fill($("destinations"), found.destinations, queueCard);
  $("no-destinations").hidden = found.destinations.length > 0;

  const brokeOff = "The service met an error of its own while it was sent, or was stopped again and again. Its log says more.";
  const dead = found.dead.map((one) => ({ id: one.id, to: `To ${one.destination}`, because: one.because || brokeOff, action: "Send again" }));
  const unread = found.unread.map((one) => ({ id: one.job, to: "Not read", because: one.because, action: "Read again" }));
  fill($("dead"), [...dead, ...unread].slice(0, SHOWN_DEAD), letter);
  $("dead-card").hidden = dead.length + unread.length === 0;

  const waiting = found.waiting.map((one) => ({ id: one.id, to: `To ${one.destination}`, because: one.because || "Its turn has not come.", action: "Try now" }));
  fill($("waiting"), waiting, letter);
  $("waiting-card").hidden = waiting.length === 0;
  const total = found.destinations.reduce((sum, queue) => sum + queue.waiting, 0);
  $("waiting-note").textContent = total > waiting.length ? `The newest ${waiting.length} of ${total}. They are tried by themselves, ever less often.` : "They are tried by themselves, ever less often.";

  const counts = Object.entries(found.instances).filter(([, count]) => count > 0);
  fill($("counts"), counts, ([stage, count]) => {
    const item = element("li");
    item.append(figure(count, STAGES[stage] ?? stage));
    return item;
  });
  fill($("recent"), found.recent, recentRow);
  $("nothing-came").hidden = counts.length > 0;
  $("recent-scroll").hidden = found.recent.length === 0;
}

async function refresh() {
  try {
    show(await json("pacs/queue"));
    $("problem").hidden = true;
    $("updated").textContent = `As of ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    $("problem-detail").textContent = error instanceof TypeError ? "The service cannot be reached. What is shown is from before." : error.message;
    $("problem").hidden = false;
  }
}

async function again(button) {
  button.disabled = true;
  try {
    $("said").textContent = (await json(`pacs/retry/${encodeURIComponent(button.dataset.id)}`, { method: "POST" })).done;
  } catch (error) {
    $("said").textContent = error instanceof TypeError ? "The service cannot be reached. Nothing was sent." : error.message;
    button.disabled = false;
  }
  await refresh();
}

async function watch() {
  if (!document.hidden) await refresh();
  setTimeout(watch, EVERY_MS);
}

document.addEventListener("visibilitychange", () => document.hidden || refresh());
watch();
