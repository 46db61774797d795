// The page: a clip goes up, the answer comes back in words, then the annotated clip.
import { drawScale, drawSlide, drawTime } from "./charts.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);
const PREDICT = "v1/predict";

let current = null; // the request under way
let urls = []; // object URLs of the answer shown
let shown = null; // the answer itself
let shownClip = null; // the clip it is of

class Problem extends Error {
  constructor({ title, detail, code }) {
    super(detail);
    Object.assign(this, { title, code });
  }
}

/** POST the clip; `onUpload` gets the share sent. Resolves with a Blob; rejects with a Problem. */
function send(clip, accept, onUpload, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch cannot tell how much has been sent
    request.open("POST", PREDICT);
    request.responseType = "blob";
    request.setRequestHeader("Accept", accept);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onUpload(event.loaded / event.total));
    request.upload.addEventListener("load", () => onUpload(1));
    request.addEventListener("load", async () => {
      if (request.status === 200) resolve(request.response);
      else reject(new Problem(await problemOf(request)));
    });
    request.addEventListener("error", () => reject(new Problem({ title: "The service cannot be reached", detail: "The connection was lost. Try again.", code: "unreachable" })));
    request.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(clip);
  });
}

async function problemOf(request) {
  try {
    return JSON.parse(await request.response.text());
  } catch {
    return { title: "The service answered in a way this page does not understand", detail: `Status ${request.status}.`, code: `status_${request.status}` };
  }
}

async function read(clip) {
  current?.abort();
  const work = (current = new AbortController());
  clear();
  try {
    showProgress(0);
    const blob = await send(clip, "application/json", showProgress, work.signal);
    const answer = JSON.parse(await blob.text());
    $("progress").hidden = true;
    showAnswer(answer, clip.name, blob);
    shownClip = clip;
    await showAnnotated(clip, work.signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    showProblem(error);
  } finally {
    if (current === work) $("progress").hidden = true;
  }
}

function clear() {
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
  shown = null;
  for (const id of ["problem", "answer", "annotated", "download-clip"]) $(id).hidden = true;
  $("annotated").removeAttribute("src");
  document.body.classList.remove("has-answer");
}

function showProgress(share) {
  const bar = $("progress-bar");
  $("progress").hidden = false;
  if (share < 1) {
    bar.value = share;
    $("progress-text").textContent = `Sending the clip: ${Math.round(share * 100)} %`;
  } else {
    bar.removeAttribute("value");
    $("progress-text").textContent = "Reading the clip: finding the pleura, following the wall, asking the model …";
  }
}

function showProblem(problem) {
  $("problem-title").textContent = problem.title;
  $("problem-detail").textContent = problem.message;
  $("problem-code").textContent = `Code: ${problem.code}`;
  $("problem").hidden = false;
}

function showAnswer(answer, name, blob) {
  const sliding = answer.lung_sliding;
  document.body.classList.add("has-answer");
  $("answer").className = `answer tone-${words.tone(answer)}`;
  $("clip-name").textContent = name;
  $("headline").textContent = words.headline(answer);
  $("reasons").replaceChildren(...answer.quality.reasons.map((reason) => item(reason.detail)));
  $("probability").hidden = sliding.probability === null;
  $("probability-text").textContent = words.probability(sliding);
  if (sliding.probability !== null) drawScale($("scale"), sliding);
  $("control").textContent = words.wallControl(sliding);
  $("control").hidden = sliding.probability === null;
  $("warnings").replaceChildren(...answer.warnings.map(item));
  $("intended-use").textContent = answer.intended_use;
  $("facts").replaceChildren(...words.facts(answer).flatMap(([term, text]) => [node("dt", term), node("dd", text)]));
  $("download-json").href = objectUrl(blob);
  $("film-text").hidden = answer.pleura === null;
  $("answer").hidden = false;
  shown = answer;
  showMeasurement(answer); // after: the charts need to know how wide they are
  $("verdict").focus({ preventScroll: true });
}

function showMeasurement({ pleura, clip, lung_point: lungPoint }) {
  $("slide-card").hidden = pleura === null || pleura.columns.length === 0;
  $("time-card").hidden = pleura === null || pleura.slide_over_time.t_s.length < 2;
  if (!$("slide-card").hidden) {
    $("slide-text").textContent = words.slide(pleura.columns);
    drawSlide($("slide-chart"), pleura, clip.width, lungPoint);
    fillTable(pleura.columns);
  }
  if (!$("time-card").hidden) {
    const { px, t_s: times } = pleura.slide_over_time;
    const largest = Math.max(...px.map(Math.abs));
    $("time-text").textContent = `How far the lung shifts past the chest wall in an eighth of a second, median over the pleura: up to ${largest.toFixed(1)} px.`;
    drawTime($("time-chart"), pleura.slide_over_time);
  }
}

function fillTable(columns) {
  const [head, body] = [$("slide-table").tHead, $("slide-table").tBodies[0]];
  const titles = ["x (px)", "slide (px)", "slide (mm)", "wall (px)", "tracking", "model"];
  const number = (value, digits) => (value === null ? "–" : value.toFixed(digits));
  head.replaceChildren(row(titles, "th"));
  body.replaceChildren(
    ...columns.map((c) =>
      row([number(c.x_px, 0), number(c.slide_px, 2), number(c.slide_mm, 2), number(c.wall_px, 2), number(c.tracking, 2), number(c.probability, 2)], "td"),
    ),
  );
}

/** The clip goes up once more: the service remembers the answer for two minutes and only has to draw it. */
async function showAnnotated(clip, signal) {
  const text = $("annotated-text");
  text.hidden = false;
  text.textContent = "Drawing the findings on the clip …";
  try {
    const url = objectUrl(await send(clip, "video/mp4", () => {}, signal));
    $("annotated").src = url;
    $("annotated").hidden = false;
    $("download-clip").href = url;
    $("download-clip").hidden = false;
    text.hidden = true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    text.textContent = `The annotated clip could not be made. ${error.message}`;
  }
}

/** On demand, and once more by way of the clip, as the annotated clip is. */
async function saveReport() {
  const button = $("download-report");
  button.disabled = true;
  try {
    const link = node("a", "");
    link.href = objectUrl(await send(shownClip, "application/pdf", () => {}, current.signal));
    link.download = "seashore.pdf";
    link.click();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    showProblem(error);
  } finally {
    button.disabled = false;
  }
}

function objectUrl(blob) {
  urls.push(URL.createObjectURL(blob));
  return urls[urls.length - 1];
}

function node(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

const item = (text) => node("li", text);

function row(cells, kind) {
  const made = document.createElement("tr");
  made.append(...cells.map((cell) => node(kind, cell)));
  return made;
}

async function showService() {
  const status = $("service");
  try {
    const ready = await fetch("readyz");
    if (!ready.ok) {
      const problem = await ready.json();
      status.textContent = problem.code === "starting" ? "The service is starting …" : problem.detail;
      if (problem.code === "starting") setTimeout(showService, 1000);
      return;
    }
    const { models } = await (await fetch("v1/models")).json();
    const model = models.find((entry) => entry.default);
    status.textContent = model ? `Ready: ${model.name} ${model.version}` : "Ready";
  } catch {
    status.textContent = "The service cannot be reached.";
  }
}

function take(files) {
  if (files.length === 1) read(files[0]);
  else if (files.length > 1) showProblem(new Problem({ title: "One clip at a time", detail: "Several files were dropped; drop one.", code: "several_files" }));
}

$("clip").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = ""; // the same clip can be chosen again
});
$("upload").addEventListener("submit", (event) => event.preventDefault());
$("cancel").addEventListener("click", () => current?.abort());
$("download-report").addEventListener("click", saveReport);
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
addEventListener("resize", () => shown && showMeasurement(shown)); // a telephone turned on its side
showService();
