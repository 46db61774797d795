// One clip and its answer: the verdict in words, the picture with what the model saw, the measurements, what can be taken along.
import * as api from "./api.js";
import { drawScale, drawSlide, drawTime } from "./charts.js";
import { $, element, own } from "./dom.js";
import { bestLine, describe, MMode } from "./mmode.js";
import { Opinion } from "./opinion.js";
import { Overlay } from "./overlay.js";
import { PatchView } from "./patchview.js";
import { Player } from "./player.js";
import { Signs } from "./signs.js";
import { number, t } from "./texts.js";
import * as words from "./words.js";

const TAKEN = { report: ["application/pdf", "seashore.pdf"], clip: ["video/mp4", "seashore.mp4"], json: ["application/json", "seashore.json"], sr: ["application/dicom", "seashore.dcm"] };
const MIN_LINE_PX = 8;

export class Viewer extends EventTarget {
  constructor() {
    super();
    this.player = new Player();
    this.mmode = new MMode(this.player);
    this.patch = new PatchView(this.player);
    this.opinion = new Opinion();
    this.signs = new Signs(this.player);
    this.entry = this.answer = null;
    this.tool = null;
    this.moveCursor = () => {};
    this.player.addEventListener("moved", () => this.moveCursor(this.player.seconds));
    for (const box of document.querySelectorAll("[data-show]")) box.addEventListener("change", () => this._toggle(box));
    for (const button of document.querySelectorAll("[data-take]")) button.addEventListener("click", () => this._take(button));
    for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => this._use(this.tool === button.dataset.tool ? null : button.dataset.tool));
    $("region-clear").addEventListener("click", () => this._use(null));
    $("region-analyse").addEventListener("click", () => this._analyseRegion());
    $("copy-link").addEventListener("click", () => this._copyLink());
    const picture = $("picture");
    picture.addEventListener("pointerdown", (event) => this._press(event));
    picture.addEventListener("pointermove", (event) => this._drag(event));
    picture.addEventListener("pointerup", (event) => this._release(event));
    picture.addEventListener("pointercancel", () => (this.drawn = null));
    addEventListener("keydown", (event) => this._key(event));
    addEventListener("resize", () => this.answer && this._resize());
  }

  async show(entry) {
    this.close();
    this.entry = entry;
    const blob = await api.result(entry.id);
    const answer = JSON.parse(await blob.text());
    if (this.entry !== entry) return null;
    this.answer = answer;
    this.opinion.ask(entry.id, answer);
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
    this.patch.choose(null);
    $("viewer").hidden = true;
    this.opinion.ask();
    $("taken").textContent = "";
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
    $("reasons").replaceChildren(...answer.quality.reasons.map((reason) => element("li", words.advice(reason))));
    $("probability").hidden = $("control").hidden = sliding.probability === null;
    $("probability-text").textContent = words.probability(sliding);
    if (sliding.probability !== null) drawScale($("scale"), sliding);
    $("control").textContent = words.wallControl(sliding);
    $("doubts").replaceChildren(...[...words.doubts(answer)].map((doubt) => element("li", doubt)));
    $("take-sr").hidden = !/(^[^.]*|\.dcm|\.dicom)$/i.test(this.entry.name); // made of DICOM objects alone
    $("warnings").replaceChildren(...answer.warnings.map((warning) => own(warning, "li")));
    $("intended-use").textContent = words.intendedUse(answer);
    $("facts").replaceChildren(...words.facts(answer).flatMap(([term, text]) => [element("dt", term), element("dd", text)]));
    $("mmode-windows").textContent = describe(answer);
    this._measurements();
    this.signs.say(answer);
    this.patch.tell();
    if (this.player.frames) this.player.tell();
  }

  async _film(entry, answer) {
    const overlay = new Overlay(answer);
    overlay.onReady = () => this.player.draw();
    overlay.shown = new Set([...document.querySelectorAll("[data-show]:checked")].map((box) => box.dataset.show));
    $("stage").classList.add("waiting");
    $("stage-text").textContent = t("loading");
    try {
      await this.player.open(entry.id, overlay, (share) => ($("stage-text").textContent = t("drawing", { share: number(100 * share, 0) })));
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

  _resize() {
    this._measurements();
    this.signs.draw();
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
    $("motion-text").hidden = !shown.has("motion");
    this.player.draw();
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
      this.patch.choose(player.overlay.patchAt(player.context, x, y, player.seconds));
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
      Escape: () => (this.tool === null ? this.patch.choose(null) : this._use(null)),
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

function row(cells, kind) {
  const made = document.createElement("tr");
  made.append(...cells.map((cell) => element(kind, cell)));
  return made;
}
