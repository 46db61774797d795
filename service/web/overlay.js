// What the model saw, drawn on the picture. Everything is in pixels of the clip's own frames; pixel centres are whole numbers.
import { drawMotion } from "./motion.js";
import { colour, dashes, heat, path, smooth } from "./patches.js";
import { SignMaps } from "./signmaps.js";

const SECTOR = "#8da0b3", PLEURA = "#78dc82", LUNG_POINT = "#f0e442", LINE = "#ffffff", GROUND = "rgb(0 0 0 / 65%)";

export class Overlay {
  constructor(answer) {
    this.answer = answer;
    this.shown = new Set(["pleura", "patches"]);
    this.chosen = null; // a patch: {row, column}
    this.mline = null; // two points
    this.region = null; // corners so far
    this.outlines = answer.windows.map((window) => window.patches.map((patch) => path(patch.polygon)));
    this.heats = new Map();
    this.maps = new SignMaps(answer.signs, () => this.onReady());
    this.onReady = () => {}; // saliency has been made ready: what is shown can be drawn again
  }

  windowAt(seconds) {
    const windows = this.answer.windows;
    const index = windows.findIndex((window) => seconds < window.end_s);
    return index < 0 ? windows.length - 1 : index;
  }

  /** `context` is scaled so that a pixel of the clip is a unit; `px` is the width of a screen pixel in it. */
  draw(context, seconds, px, frame) {
    const { sector, pleura, lung_point: lungPoint } = this.answer;
    const index = this.windowAt(seconds);
    const seen = this.shown.has("saliency") ? this.maps.at(frame) : undefined;
    context.lineJoin = "round";
    if (this.shown.has("sector") && sector?.length) this._stroke(context, path(sector), SECTOR, 1.5 * px, [4 * px, 4 * px]);
    if (index >= 0 && this.shown.has("patches")) this._patches(context, index, px);
    if (seen) this.maps.draw(context, seen, px); // without that of sliding: of two heats nobody could tell which is whose
    else if (index >= 0 && this.shown.has("saliency")) this._heat(context, index, seconds);
    if (pleura && this.shown.has("pleura")) this._pleura(context, pleura, px);
    if (pleura && this.shown.has("motion")) drawMotion(context, pleura.motion, seconds, px);
    if (lungPoint.suspected && lungPoint.x_px !== null && this.shown.has("pleura")) this._lungPoint(context, lungPoint.x_px, px);
    if (this.mline) this._line(context, this.mline, px);
    if (this.region) this._region(context, px);
  }

  /** The patch under a point, of the window shown then. */
  patchAt(context, x, y, seconds) {
    const index = this.windowAt(seconds);
    if (index < 0 || !this.shown.has("patches")) return null;
    context.save();
    context.resetTransform(); // which moves the path, not the point
    const at = this.outlines[index].findIndex((outline) => context.isPointInPath(outline, x, y));
    context.restore();
    return at < 0 ? null : this.answer.windows[index].patches[at];
  }

  _patches(context, index, px) {
    this.answer.windows[index].patches.forEach((patch, i) => {
      const outline = this.outlines[index][i], ink = colour(patch.probability);
      const isChosen = this.chosen?.row === patch.row && this.chosen?.column === patch.column;
      context.fillStyle = ink;
      context.globalAlpha = 0.12;
      context.fill(outline);
      context.globalAlpha = 1;
      this._stroke(context, outline, ink, (isChosen ? 3.5 : 1.6) * px, dashes(patch.probability).map((length) => length * px));
    });
  }

  _heat(context, index, seconds) {
    if (!this.heats.has(index)) this._warm(index);
    const window = this.answer.windows[index];
    const share = (seconds - window.start_s) / Math.max(window.end_s - window.start_s, 1e-9);
    for (const { picture, weights } of this.heats.get(index)) {
      context.globalAlpha = weights[Math.min(weights.length - 1, Math.max(0, Math.floor(share * weights.length)))];
      context.drawImage(picture.canvas, picture.x, picture.y, picture.width, picture.height);
    }
    context.globalAlpha = 1;
  }

  async _warm(index) {
    const ready = [];
    this.heats.set(index, ready);
    for (const patch of this.answer.windows[index].patches) {
      if (patch.saliency) ready.push({ picture: await heat(patch), weights: smooth(patch.saliency.time) });
    }
    this.onReady();
  }

  _pleura(context, { line, interspaces }, px) {
    const inside = (x) => interspaces.some(([x0, x1]) => x >= x0 - 0.5 && x <= x1 + 0.5);
    const [seen, between] = [new Path2D(), new Path2D()];
    for (let i = 1; i < line.length; i++) {
      const part = inside((line[i - 1][0] + line[i][0]) / 2) ? seen : between;
      part.moveTo(...line[i - 1]);
      part.lineTo(...line[i]);
    }
    this._stroke(context, seen, PLEURA, 2.2 * px, []);
    this._stroke(context, between, PLEURA, 1.2 * px, [2 * px, 4 * px]);
  }

  _lungPoint(context, x, px) {
    const mark = new Path2D();
    mark.moveTo(x, 0);
    mark.lineTo(x, this.answer.clip.height);
    this._stroke(context, mark, LUNG_POINT, 2 * px, [7 * px, 5 * px]);
  }

  _line(context, [[x0, y0], [x1, y1]], px) {
    const line = new Path2D();
    line.moveTo(x0, y0);
    line.lineTo(x1, y1);
    this._stroke(context, line, GROUND, 4 * px, []);
    this._stroke(context, line, LINE, 1.6 * px, []);
    context.fillStyle = LINE;
    for (const [x, y] of [[x0, y0], [x1, y1]]) {
      context.beginPath();
      context.arc(x, y, 5 * px, 0, 2 * Math.PI);
      context.fill();
    }
  }

  _region(context, px) {
    if (this.region.length > 1) this._stroke(context, path(this.region), LINE, 2 * px, [6 * px, 4 * px]);
    context.fillStyle = LINE;
    for (const [x, y] of this.region) context.fillRect(x - 4 * px, y - 4 * px, 8 * px, 8 * px);
  }

  _stroke(context, outline, ink, width, dash) {
    context.setLineDash(dash);
    context.lineWidth = width;
    context.strokeStyle = ink;
    context.stroke(outline);
    context.setLineDash([]);
  }
}
