// One patch, large: as the picture shows it now, where the model looked in it, its frames through the window, its probability over the windows.
import { $, element } from "./dom.js";
import { colour, heat, path, reading, smooth } from "./patches.js";
import { number, t } from "./texts.js";

const CELLS = 10; // frames of a window that are shown beside each other
const MARGIN = 0.25; // of the patch, around it
const BARS_PX = 14;

export class PatchView {
  constructor(player) {
    this.player = player;
    this.heat = this.drawn = null;
    player.addEventListener("moved", () => this.tell());
    player.addEventListener("shown", () => this._picture());
    $("patch-close").addEventListener("click", () => this.choose(null));
    $("patch-frames").addEventListener("click", (event) => this._go(event));
  }

  /** `patch` of the answer, or null for none. */
  choose(patch) {
    const { overlay } = this.player;
    $("patch").hidden = !patch;
    this.heat = this.drawn = null;
    if (!overlay) return;
    overlay.chosen = patch && { row: patch.row, column: patch.column };
    this.player.draw();
    this.tell();
    this._picture();
  }

  /** In words, of the window that is shown. */
  tell() {
    const { overlay, seconds } = this.player;
    if (!overlay?.chosen) return;
    const { windows } = overlay.answer;
    const same = windows.map((window) => this._of(window));
    const now = overlay.windowAt(seconds);
    const { probability } = same[now];
    $("patch-title").textContent = t("patch", { row: overlay.chosen.row + 1, column: overlay.chosen.column + 1 });
    $("patch-text").textContent = t("patch_text", { probability: number(probability, 2), word: t(reading(probability)) });
    $("patch-looked").hidden = !same[now].saliency;
    $("patch-windows").replaceChildren(...windows.map((window, i) => windowItem(window, same[i].probability, i === now)));
    this._frames(now);
  }

  _of(window) {
    const { row, column } = this.player.overlay.chosen;
    return window.patches.find((patch) => patch.row === row && patch.column === column);
  }

  /** As the picture shows it now, and where the model looked. */
  async _picture() {
    const { overlay, bitmap, seconds } = this.player;
    if (!overlay?.chosen || !bitmap) return;
    const patch = this._of(overlay.answer.windows[overlay.windowAt(seconds)]);
    const outline = path(patch.polygon);
    large($("patch-now"), patch, (context, px) => {
      context.drawImage(bitmap, -0.5, -0.5);
      context.strokeStyle = colour(patch.probability);
      context.lineWidth = 2 * px;
      context.stroke(outline);
    });
    if (!patch.saliency) return;
    if (this.heat?.patch !== patch) this.heat = { patch, picture: await heat(patch) };
    if (this.heat?.patch !== patch || this.player.bitmap !== bitmap) return;
    const { canvas, x, y, width, height } = this.heat.picture;
    large($("patch-looked"), patch, (context) => {
      context.drawImage(bitmap, -0.5, -0.5);
      context.drawImage(canvas, x, y, width, height);
    });
  }

  /** Frames spread over the window, left to right, with how much each mattered under them. */
  async _frames(now) {
    const { overlay, frames } = this.player;
    const patch = this._of(overlay.answer.windows[now]);
    if (!frames || this.drawn === patch) return;
    this.drawn = patch;
    const canvas = $("patch-frames"), context = canvas.getContext("2d");
    const wide = canvas.width / CELLS, high = canvas.height - BARS_PX;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (patch.saliency) bars(context, smooth(patch.saliency.time), high);
    this.shown = cells(overlay.answer.windows[now], frames);
    for (const [i, frame] of this.shown.entries()) {
      let bitmap;
      try {
        bitmap = await frames.picture(frame, 0);
      } catch {
        return; // the clip has been closed meanwhile
      }
      if (this.drawn !== patch) return;
      const [x0, y0, x1, y1] = patch.box;
      context.drawImage(bitmap, x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0, i * wide + 1, 0, wide - 2, high - 2);
    }
  }

  _go(event) {
    const box = $("patch-frames").getBoundingClientRect();
    const cell = Math.floor(((event.clientX - box.left) / box.width) * CELLS);
    this.player.pause();
    this.player.go(this.shown[Math.min(Math.max(cell, 0), CELLS - 1)]);
  }
}

const cells = ({ start_s: start, end_s: end }, frames) => Array.from({ length: CELLS }, (_, i) => frames.at(start + ((end - start) * (i + 0.5)) / CELLS));

function windowItem(window, probability, isNow) {
  const made = element("li", t("patch_window", { start: number(window.start_s, 1), end: number(window.end_s, 1), probability: number(probability, 2) }));
  made.style.setProperty("--bar", colour(probability));
  made.style.setProperty("--share", probability);
  if (isNow) made.setAttribute("aria-current", "true");
  return made;
}

/** Draws in pixels of the clip, the patch filling the canvas but for a margin; `px` is a pixel of the canvas. */
function large(canvas, { box: [x0, y0, x1, y1] }, draw) {
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillRect(0, 0, canvas.width, canvas.height);
  const scale = Math.min(canvas.width / (x1 - x0), canvas.height / (y1 - y0)) / (1 + 2 * MARGIN);
  context.setTransform(scale, 0, 0, scale, canvas.width / 2 - (scale * (x0 + x1)) / 2, canvas.height / 2 - (scale * (y0 + y1)) / 2);
  draw(context, 1 / scale);
}

function bars(context, weights, top) {
  const most = Math.max(...weights, 1e-9), wide = context.canvas.width / weights.length;
  context.fillStyle = "#cc79a7";
  weights.forEach((weight, i) => context.fillRect(i * wide, context.canvas.height - (BARS_PX - 3) * (weight / most), wide - 0.5, context.canvas.height));
}
