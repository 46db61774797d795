// The page: clips go in, a worklist follows them, the one that is chosen is shown.
import * as api from "./api.js";
import { $, element } from "./dom.js";
import { letChoose } from "./header.js";
import { offer, options } from "./options.js";
import { signOut, whoAsks } from "./signin.js";
import { t, translate } from "./texts.js";
import { Viewer } from "./viewer.js";
import { MARKS, standing, Worklist } from "./worklist.js";
import * as words from "./words.js";

const FINISHED = new Set(["present", "absent", "lung_point", "indeterminate", "not_assessable"]);

translate(document);
const worklist = new Worklist();
const viewer = new Viewer();
let chosen = null; // an entry of the worklist

// -- the worklist -----------------------------------------------------------------------------------------------------

function list() {
  const focused = document.activeElement?.closest?.("#entries li")?.dataset.key;
  $("worklist").hidden = worklist.entries.length === 0;
  document.body.classList.toggle("has-clips", worklist.entries.length > 0);
  $("entries").replaceChildren(...worklist.ranked.map(line));
  if (focused) $("entries").querySelector(`[data-key="${CSS.escape(focused)}"] button`)?.focus();
}

function line(entry) {
  const made = document.createElement("li");
  made.dataset.key = worklist.entries.indexOf(entry);
  made.className = `tone-${entry.standing}`;
  const choose = button("choose", "");
  choose.append(element("span", MARKS[entry.standing] ?? "…", "mark"), element("span", entry.name, "name"), element("span", standing(entry), "standing"));
  choose.querySelector(".mark").setAttribute("aria-hidden", "true");
  if (entry === chosen) choose.setAttribute("aria-current", "true");
  choose.addEventListener("click", () => pick(entry));
  const away = button("away", "×");
  away.setAttribute("aria-label", `${t(FINISHED.has(entry.standing) ? "remove" : "cancel")}: ${entry.name}`);
  away.title = t(FINISHED.has(entry.standing) ? "remove" : "cancel");
  away.addEventListener("click", () => worklist.remove(entry));
  made.append(choose, away);
  if (["sending", "running"].includes(entry.standing)) {
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", standing(entry));
    bar.value = entry.share;
    made.append(bar);
  }
  return made;
}

function button(kind, content) {
  const made = element("button", content, kind);
  made.type = "button";
  return made;
}

// -- the clip that is shown ---------------------------------------------------------------------------------------------

async function pick(entry) {
  chosen = entry;
  if (entry.id) history.replaceState(null, "", `#${entry.id}`);
  list();
  showProblem(entry.problem, entry);
  if (!FINISHED.has(entry.standing)) return viewer.close();
  try {
    const answer = await viewer.show(entry);
    if (!answer) return;
    worklist.grade(entry, words.tone(answer));
    $("headline").focus({ preventScroll: true });
  } catch (error) {
    if (!(error instanceof api.Problem)) throw error;
    showProblem(error, entry);
  }
}

function showProblem(problem, entry) {
  $("problem").hidden = problem === null;
  if (problem === null) return;
  viewer.close();
  $("problem-title").textContent = problem.title;
  $("problem-detail").textContent = problem.message;
  $("problem-code").textContent = t("code", { code: problem.code });
  $("again").hidden = !(entry?.file && entry.standing === "lost");
}

worklist.addEventListener("changed", ({ detail: entry }) => {
  list();
  if (entry && entry === chosen && entry.problem) showProblem(entry.problem, entry);
});
worklist.addEventListener("done", ({ detail: entry }) => {
  if (chosen === null || chosen === entry || !FINISHED.has(chosen.standing)) pick(entry);
  else grade(entry);
});

/** A job's verdict does not tell a suspected lung point, which is ranked before others. */
async function grade(entry) {
  if (entry.standing !== "indeterminate") return;
  const answer = await api.result(entry.id).then((blob) => blob.text()).catch(() => null); // it is graded when it is chosen
  if (answer !== null) worklist.grade(entry, words.tone(JSON.parse(answer)));
}
worklist.addEventListener("removed", ({ detail: entry }) => {
  if (entry !== chosen) return;
  chosen = null;
  viewer.close();
  $("problem").hidden = true;
  history.replaceState(null, "", location.pathname);
});
viewer.addEventListener("region", ({ detail: { entry, region } }) => {
  chosen = worklist.hand(entry.file, { name: t("region_name", { name: entry.name }), options: { ...entry.options, region } });
  viewer.close();
  list();
});
$("again").addEventListener("click", () => {
  $("problem").hidden = true;
  worklist.send(chosen);
});

// -- clips come in ------------------------------------------------------------------------------------------------------

function take(files) {
  const handed = [...files].map((file) => worklist.hand(file, { options: options() }));
  if (handed.length) pick(handed[0]);
}

$("clip").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = ""; // the same clip can be chosen again
});
$("upload").addEventListener("submit", (event) => event.preventDefault());
for (const demo of document.querySelectorAll("[data-demo]")) {
  demo.addEventListener("click", async () => {
    const name = demo.dataset.demo;
    const clip = await (await fetch(`web/demo/${name}.mp4`)).blob();
    take([new File([clip], `${t(`demo_${name}`)}.mp4`)]);
  });
}
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => event.clipboardData.files.length && take(event.clipboardData.files));

// -- the service, the language, the address -----------------------------------------------------------------------------

async function showService() {
  try {
    await api.ready();
    const { models, signs } = await api.models();
    const model = models.find((entry) => entry.default);
    offer(signs);
    $("service").textContent = t("ready", { model: model ? `${model.name} ${model.version}` : "" });
    const who = await whoAsks();
    $("sign-out").hidden = !who || who.owner === "local";
    $("sign-out").textContent = t("sign_out", { owner: who?.owner });
  } catch (error) {
    if (!(error instanceof api.Problem)) throw error;
    $("service").textContent = error.code === "starting" ? t("starting") : error.message;
    if (error.code === "starting" || error.code === "unreachable") setTimeout(showService, 2000);
  }
}

letChoose(() => {
  list();
  viewer.say();
  showService();
});

$("sign-out").addEventListener("click", signOut);

function followAddress() {
  const id = location.hash.slice(1);
  if (/^[\w-]{8,64}$/.test(id) && chosen?.id !== id) pick(worklist.watch(id));
}
addEventListener("hashchange", followAddress);

list();
followAddress();
showService();
