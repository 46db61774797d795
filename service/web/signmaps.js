// Where a sign's model saw it: its coarse map, over that part of the frame which the model was shown. On the frame that shows the sign best alone.
import { colourMap } from "./patches.js";
import { t } from "./texts.js";

const EDGE = "#b79ae0", GROUND = "rgb(0 0 0 / 65%)";

export class SignMaps {
  constructor(signs = [], onReady = () => {}) {
    this.found = signs.filter((sign) => sign.representative?.map);
    this.chosen = null; // goes first where several are on one frame
    this.pictures = new Map();
    this.onReady = onReady;
  }

  /** The sign whose map belongs on a frame, or undefined. */
  at(frame) {
    const here = this.found.filter((sign) => sign.representative.index === frame);
    return here.find((sign) => sign.sign === this.chosen) ?? here[0];
  }

  draw(context, { sign, representative: { box, map } }, px) {
    const [x0, y0, x1, y1] = box;
    if (!this.pictures.has(sign)) this._make(sign, map);
    const picture = this.pictures.get(sign);
    if (picture) context.drawImage(picture, x0, y0, x1 - x0, y1 - y0);
    context.setLineDash([5 * px, 4 * px]);
    context.strokeStyle = EDGE;
    context.lineWidth = 1.5 * px;
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    context.setLineDash([]);
    this._name(context, t("signs_on_picture", { sign: t(`signs_${sign}`) }), x0, y0, px);
  }

  _name(context, text, x, y, px) {
    context.font = `600 ${13 * px}px system-ui, sans-serif`;
    context.fillStyle = GROUND;
    context.fillRect(x, y, context.measureText(text).width + 10 * px, 20 * px);
    context.fillStyle = "#ffffff";
    context.fillText(text, x + 5 * px, y + 14 * px);
  }

  async _make(sign, map) {
    this.pictures.set(sign, null);
    this.pictures.set(sign, await colourMap(map));
    this.onReady();
  }
}
