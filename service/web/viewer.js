// One clip and its answer: the verdict in words, the picture with what the model saw, the measurements, what can be taken along.
import * as api from "./api.js";
import { drawScale, drawSlide, drawTime } from "./charts.js";
import { bestLine, describe, MMode } from "./mmode.js";
import { Overlay } from "./overlay.js";
import { colour, reading } from "./patches.js";
import { Player } from "./player.js";
import { number, t } from "./texts.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);
const TAKEN = { report: ["application/pdf", "seashore.pdf"], clip: ["video/mp4", "seashore.mp4"], json: ["application/json", "seashore.json"], sr: ["application/dicom", "seashore.dcm"] };
const MIN_LINE_PX = 8;

export class Viewer extends EventTarget {
  constructor() {
    super();
    this.player = new Player();
    this.mmode = new MMode(this.player);
    this.entry = this.answer = null;
    this.tool = null;
    this.moveCursor = () => {};
    this.player.addEventListener("moved", () => {
      this.moveCursor(this.player.seconds);
      this._showPatch();
    });
    this.player.addEventListener("shown", () => this._enlarge());
    for (const box of document.querySelectorAll("[data-show]")) box.addEventListener("change", () => this._toggle(box));
    for (const button of document.querySelectorAll("[data-take]")) button.addEventListener("click", () => this._take(button));
    for (const button of document.querySelectorAll("[data-opinion]")) button.addEventListener("click", () => this._say(button.dataset.opinion));
    for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => this._use(this.tool === button.dataset.tool ? null : button.dataset.tool));
    $("region-clear").addEventListener("click", () => this._use(null));
    $("region-analyse").addEventListener("click", () => this._analyseRegion());
    $("patch-close").addEventListener("click", () => this._choose(null));
    $("copy-link").addEventListener("click", () => this._copyLink());
    const picture = $("picture");
    picture.addEventListener("pointerdown", (event) => this._press(event));
    picture.addEventListener("pointermove", (event) => this._drag(event));
    picture.addEventListener("pointerup", (event) => this._release(event));
    picture.addEventListener("pointercancel", () => (this.drawn = null));
    addEventListener("keydown", (event) => this._key(event));
    addEventListener("resize", () => this.answer && this._measurements());
  }

  async show(entry) {
    this.close();
    this.entry = entry;
    const blob = await api.result(entry.id);
    const answer = JSON.parse(await blob.text());
    if (this.entry !== entry) return null;
    this.answer = answer;
    $("viewer").hidden = false;
    this.say();
    this._film(entry, answer);
    return answer;
  }

  close() {
    this.player.close();
    this.mmode.close();
    this._use(null);
    this.entry = this.answer = null;
    $("viewer").hidden = $("patch").hidden = true;
    $("opinion-kept").textContent = $("taken").textContent = $("opinion-note").value = "";
  }

  /** Everything in words, in the language of the moment. */
  say() {
    const { answer } = this;
    if (!answer) return;
    const sliding = answer.lung_sliding;
    $("viewer").className = `viewer tone-${words.tone(answer)}`;
    $("clip-name").textContent = this.entry.name;
    $("headline").textContent = words.headline(answer);
    $("quality").textContent = `${t("quality")}: ${words.quality(answer.quality)}`;
    $("reasons").replaceChildren(...answer.quality.reasons.map((reason) => node("li", words.advice(reason))));
    $("probability").hidden = $("control").hidden = sliding.probability === null;
    $("probability-text").textContent = words.probability(sliding);
    if (sliding.probability !== null) drawScale($("scale"), sliding);
    $("control").textContent = words.wallControl(sliding);
    $("doubts").replaceChildren(...[...words.doubts(answer)].map((doubt) => node("li", doubt)));
    $("take-sr").hidden = !/(^[^.]*|\.dcm|\.dicom)$/i.test(this.entry.name); // made of DICOM objects alone
    $("warnings").replaceChildren(...answer.warnings.map((warning) => node("li", warning)));
    $("intended-use").textContent = words.intendedUse(answer);
    $("facts").replaceChildren(...words.facts(answer).flatMap(([term, text]) => [node("dt", term), node("dd", text)]));
    $("mmode-windows").textContent = describe(answer);
    this._measurements();
    this._showPatch();
    if (this.player.frames) this.player.tell();
  }

  async _film(entry, answer) {
    const overlay = new Overlay(answer);
    overlay.onReady = () => this.player.draw();
    overlay.shown = new Set([...document.querySelectorAll("[data-show]:checked")].map((box) => box.dataset.show));
    $("stage").classList.add("waiting");
    $("stage-text").textContent = t("loading");
    try {
      await this.player.open(entry.id, overlay);
      if (this.entry !== entry) return;
      $("stage").classList.remove("waiting");
      $("stage-text").textContent = "";
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.player.play();
      overlay.mline = bestLine(answer);
      $("mmode-card").hidden = overlay.mline === null;
      if (overlay.mline) await this.mmode.show(entry.id, overlay.mline);
    } catch (error) {
      if (error.name === "AbortError" || this.entry !== entry) return;
      if (!(error instanceof api.Problem)) throw error;
      $("stage-text").textContent = t("no_picture", { because: error.message });
    }
  }

  _measurements() {
    const { pleura, clip, lung_point: lungPoint } = this.answer;
    $("slide-card").hidden = pleura === null || pleura.columns.length === 0;
    $("time-card").hidden = pleura === null || pleura.slide_over_time.t_s.length < 2;
    if (!$("slide-card").hidden) {
      $("slide-text").textContent = words.slide(pleura.columns);
      drawSlide($("slide-chart"), pleura, clip.width, lungPoint);
      this._table(pleura.columns);
    }
    if (!$("time-card").hidden) {
      $("time-text").textContent = t("over_time_text", { largest: number(Math.max(...pleura.slide_over_time.px.map(Math.abs)), 1) });
      this.moveCursor = drawTime($("time-chart"), pleura.slide_over_time, clip.duration_s);
    }
  }

  _table(columns) {
    const titles = ["x", "slide_px", "slide_mm", "wall", "tracking", "model"].map((title) => t(`table_${title}`));
    const figure = (value, digits) => (value === null ? "–" : number(value, digits));
    $("slide-table").tHead.replaceChildren(row(titles, "th"));
    $("slide-table").tBodies[0].replaceChildren(
      ...columns.map((c) => row([figure(c.x_px, 0), figure(c.slide_px, 2), figure(c.slide_mm, 2), figure(c.wall_px, 2), figure(c.tracking, 2), figure(c.probability, 2)], "td")),
    );
  }

  _toggle(box) {
    const shown = this.player.overlay?.shown;
    if (!shown) return;
    if (box.checked) shown.add(box.dataset.show);
    else shown.delete(box.dataset.show);
    this.player.draw();
  }

  // -- a patch ------------------------------------------------------------------------------------------------------

  _choose(patch) {
    const overlay = this.player.overlay;
    if (!overlay) return;
    overlay.chosen = patch && { row: patch.row, column: patch.column };
    $("patch").hidden = patch === null;
    this.player.draw();
    this._showPatch();
    this._enlarge();
  }

  _showPatch() {
    const overlay = this.player.overlay;
    if (!overlay?.chosen) return;
    const { row: r, column: c } = overlay.chosen;
    const same = this.answer.windows.map((window) => window.patches.find((patch) => patch.row === r && patch.column === c));
    const now = overlay.windowAt(this.player.seconds);
    const { probability } = same[now];
    $("patch-title").textContent = t("patch", { row: r + 1, column: c + 1 });
    $("patch-text").textContent = t("patch_text", { probability: number(probability, 2), word: t(reading(probability)) });
    $("patch-windows").replaceChildren(
      ...this.answer.windows.map((window, i) => {
        const made = node("li", t("patch_window", { start: number(window.start_s, 1), end: number(window.end_s, 1), probability: number(same[i].probability, 2) }));
        made.style.setProperty("--bar", colour(same[i].probability));
        made.style.setProperty("--share", same[i].probability);
        if (i === now) made.setAttribute("aria-current", "true");
        return made;
      }),
    );
  }

  /** The chosen patch, large, as the picture shows it now. */
  _enlarge() {
    const { overlay, bitmap } = this.player;
    if (!overlay?.chosen || !bitmap) return;
    const { row: r, column: c } = overlay.chosen;
    const window = this.answer.windows[overlay.windowAt(this.player.seconds)];
    const { box: [x0, y0, x1, y1] } = window.patches.find((patch) => patch.row === r && patch.column === c);
    const canvas = $("patch-picture");
    const context = canvas.getContext("2d");
    const margin = 0.25 * (x1 - x0);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillRect(0, 0, canvas.width, canvas.height);
    const scale = Math.min(canvas.width / (x1 - x0 + 2 * margin), canvas.height / (y1 - y0 + 2 * margin));
    context.setTransform(scale, 0, 0, scale, canvas.width / 2 - (scale * (x0 + x1)) / 2, canvas.height / 2 - (scale * (y0 + y1)) / 2);
    context.drawImage(bitmap, -0.5, -0.5);
    overlay.draw(context, this.player.seconds, 1 / scale);
  }

  // -- tools ----------------------------------------------------------------------------------------------------------

  _use(tool) {
    this.tool = tool;
    this.drawn = null;
    for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    $("region").hidden = tool !== "region";
    $("picture").classList.toggle("drawing", tool !== null);
    const overlay = this.player.overlay;
    if (overlay) overlay.region = tool === "region" ? [] : null;
    if (tool !== null) this.player.pause();
    if (tool === "region") $("region-text").textContent = t(this.entry.file ? "region_help" : "region_no_file");
    $("region-analyse").disabled = true;
    this.player.draw();
  }

  _press(event) {
    const { player } = this;
    if (!player.overlay || !event.isPrimary) return;
    const place = player.place(event);
    if (this.tool === "region") {
      player.overlay.region.push(place);
      $("region-analyse").disabled = player.overlay.region.length < 3 || !this.entry.file;
      player.draw();
    } else if (this.tool === "mmode") {
      $("picture").setPointerCapture(event.pointerId);
      this.drawn = [place, place];
    }
    this.pressed = place;
  }

  _drag(event) {
    if (!this.drawn) return;
    this.drawn = [this.drawn[0], this.player.place(event)];
    this.player.overlay.mline = this.drawn;
    this.player.draw();
  }

  async _release(event) {
    const { player } = this;
    const line = this.drawn;
    this.drawn = null;
    if (line && Math.hypot(line[1][0] - line[0][0], line[1][1] - line[0][1]) >= MIN_LINE_PX) {
      // Drawn upwards it is turned round: depth goes down the strip.
      await this.drawStrip(line[0][1] <= line[1][1] ? line : [line[1], line[0]]);
    } else if (this.tool === null && player.overlay) {
      const [x, y] = player.place(event);
      this._choose(player.overlay.patchAt(player.context, x, y, player.seconds));
    }
  }

  async drawStrip(line) {
    this.player.overlay.mline = line;
    this.player.draw();
    $("mmode-card").hidden = false;
    try {
      await this.mmode.show(this.entry.id, line);
    } catch (error) {
      if (error.name !== "AbortError") this._complain(error);
    }
  }

  _analyseRegion() {
    const region = this.player.overlay.region.map(([x, y]) => `${Math.max(0, x).toFixed(1)},${Math.max(0, y).toFixed(1)}`).join(" ");
    this.dispatchEvent(new CustomEvent("region", { detail: { entry: this.entry, region } }));
  }

  _key(event) {
    if (!this.answer || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, button, a, summary")) return;
    const { player } = this;
    const does = {
      " ": () => player.toggle(),
      ArrowLeft: () => player.step(-1),
      ArrowRight: () => player.step(1),
      Home: () => player.step(-player.frame),
      End: () => player.step(Infinity),
      "[": () => player.hurry(-1),
      "]": () => player.hurry(1),
      Escape: () => (this.tool === null ? this._choose(null) : this._use(null)),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  // -- to take along --------------------------------------------------------------------------------------------------

  async _take(button) {
    const [accept, name] = TAKEN[button.dataset.take];
    button.disabled = true;
    $("taken").textContent = t("making");
    try {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await api.result(this.entry.id, accept));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      $("taken").textContent = "";
    } catch (error) {
      this._complain(error, "taken");
    } finally {
      button.disabled = false;
    }
  }

  async _say(opinion) {
    try {
      await api.say(this.entry.id, opinion, $("opinion-note").value);
      $("opinion-kept").textContent = t("opinion_kept");
    } catch (error) {
      this._complain(error, "opinion-kept");
    }
  }

  async _copyLink() {
    const address = `${location.origin}${location.pathname}#${this.entry.id}`;
    try {
      await navigator.clipboard.writeText(address); // only where the page came by HTTPS or from this machine
      $("taken").textContent = t("link_copied");
    } catch {
      $("taken").textContent = address;
    }
  }

  _complain(error, place = "stage-text") {
    if (!(error instanceof api.Problem)) throw error;
    $(place).textContent = error.message;
  }
}

function node(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function row(cells, kind) {
  const made = document.createElement("tr");
  made.append(...cells.map((cell) => node(kind, cell)));
  return made;
}
