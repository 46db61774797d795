// M-mode: a line on the picture through time, as a machine would draw it, with the windows' probabilities under it.
import * as api from "./api.js";
import { $ } from "./dom.js";
import { colour } from "./patches.js";
import { number, t } from "./texts.js";

const BAND = 10; // height of the windows' band, CSS pixels

export class MMode {
  constructor(player) {
    this.player = player;
    this.canvas = $("strip");
    this.strip = null;
    this.asked = null;
    player.addEventListener("moved", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      player.seek(event);
    });
    this.canvas.addEventListener("pointermove", (event) => event.buttons && player.seek(event));
  }

  close() {
    this.asked?.abort();
    this.strip?.close();
    this.strip = null;
  }

  async show(id, line) {
    this.asked?.abort();
    const asked = (this.asked = new AbortController());
    $("mmode-card").setAttribute("aria-busy", "true"); // a minute of clip takes seconds
    try {
      await this._fetch(id, line, asked.signal);
    } finally {
      if (this.asked === asked) $("mmode-card").removeAttribute("aria-busy");
    }
  }

  async _fetch(id, line, signal) {
    const blob = await api.mmode(id, line[0], line[1], signal);
    const strip = await createImageBitmap(blob);
    if (signal.aborted) return strip.close();
    this.strip?.close();
    this.strip = strip;
    this.draw();
  }

  draw() {
    const { canvas, player, strip } = this;
    const frames = player.frames;
    if (!strip || !frames) return;
    const density = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((size) => Math.max(1, Math.round(size * density)));
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    const band = BAND * density, room = height - band - 2 * density;
    const x = (seconds) => (seconds / frames.seconds) * width;
    context.fillStyle = "#0d1014";
    context.fillRect(0, 0, width, height);
    for (let frame = 0; frame < Math.min(frames.count, strip.width); frame++) {
      const [from, to] = [x(frames.times[frame]), x(frame + 1 < frames.count ? frames.times[frame + 1] : frames.seconds)];
      context.drawImage(strip, frame, 0, 1, strip.height, from, 0, to - from + 0.5, room);
    }
    let shown = 0; // windows may overlap: each is drawn for as long as it is the one on the picture
    for (const window of player.overlay.answer.windows) {
      const from = Math.max(window.start_s, shown);
      shown = window.end_s;
      if (window.probability === null) continue;
      context.fillStyle = colour(window.probability);
      context.fillRect(x(from) + density, height - band, x(shown) - x(from) - 2 * density, band);
    }
    context.fillStyle = "#ffffff";
    context.fillRect(x(player.seconds) - density / 2, 0, Math.max(1, 1.5 * density), height);
  }
}

/** What is drawn before anybody has drawn a line: through the place that was followed best, across the pleura. */
export function bestLine({ pleura, windows, clip }) {
  const central = pleura?.columns.filter(({ x_px: x }) => pleura.interspaces.some(([x0, x1]) => x >= x0 + (x1 - x0) / 4 && x <= x1 - (x1 - x0) / 4));
  const column = (central?.length ? central : pleura?.columns)?.reduce((best, next) => (best && best.tracking >= next.tracking ? best : next), null);
  if (!column) return null;
  const [x, y] = [column.x_px, heightOf(pleura.line, column.x_px)];
  const [dx, dy] = direction(windows[0]?.patches ?? [], x) ?? [0, 1];
  const reach = 0.22 * clip.height;
  return [
    [x - dx * Math.min(reach, y / Math.max(dy, 0.1)), Math.max(0, y - dy * reach)],
    [x + dx * 1.6 * reach, Math.min(clip.height - 1, y + dy * 1.6 * reach)],
  ];
}

function heightOf(line, x) {
  const after = Math.max(1, line.findIndex(([px]) => px >= x));
  const [[x0, y0], [x1, y1]] = [line[after - 1], line[after] ?? line[after - 1]];
  return x1 > x0 ? y0 + ((y1 - y0) * (x - x0)) / (x1 - x0) : y0;
}

/** From the top patch to the one below it, in the column nearest to x: along the beam, also of a convex probe. */
function direction(patches, x) {
  const middle = ({ box }) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  const top = patches.filter((patch) => patch.row === 0).sort((a, b) => Math.abs(middle(a)[0] - x) - Math.abs(middle(b)[0] - x))[0];
  const below = top && patches.find((patch) => patch.row === 1 && patch.column === top.column);
  if (!below) return null;
  const [dx, dy] = [middle(below)[0] - middle(top)[0], middle(below)[1] - middle(top)[1]];
  return [dx / Math.hypot(dx, dy), dy / Math.hypot(dx, dy)];
}

export const describe = ({ windows }) =>
  windows
    .filter((window) => window.probability !== null)
    .map((window) => t("patch_window", { start: number(window.start_s, 1), end: number(window.end_s, 1), probability: number(window.probability, 2) }))
    .join("; ");
