// Signs beside sliding: what each model says of its sign, when in the clip, and the frame that shows it best. Research findings, each for itself.
import { drawLane } from "./charts.js";
import { $, element } from "./dom.js";
import { has, number, t } from "./texts.js";
import { signFacts, signReason } from "./words.js";

export class Signs {
  constructor(player) {
    this.player = player;
    this.answer = null;
    this.lanes = [];
    player.addEventListener("moved", () => this.follow());
  }

  /** Everything in words, in the language of the moment. */
  say(answer) {
    this.answer = answer;
    $("signs-card").hidden = answer.signs.length === 0;
    $("signs-map").hidden = !answer.signs.some((sign) => sign.representative?.map);
    $("signs").replaceChildren(...answer.signs.map((sign) => this._row(sign)));
    this.draw();
  }

  /** The lanes, at the width that they have now. */
  draw() {
    if (!this.answer) return;
    const { signs, clip } = this.answer;
    this.lanes = signs.filter((sign) => sign.moments.length).map((sign) => drawLane(lane(sign.sign), sign, clip.duration_s));
    this.follow();
  }

  follow() {
    const { player } = this;
    for (const move of this.lanes) move(player.seconds);
    for (const row of $("signs").children) row.classList.toggle("shown", Boolean(player.frames) && Number(row.dataset.frame) === player.frame);
  }

  _row(sign) {
    const row = element("li");
    const name = t(`signs_${sign.sign}`);
    row.append(element("h3", name), element("p", signFacts(sign), "said"));
    if (has(`signs_about_${sign.sign}`)) row.append(element("p", t(`signs_about_${sign.sign}`), "note"));
    if (sign.reason) row.append(element("p", signReason(sign.reason)));
    if (sign.moments.length) row.append(this._timeline(sign, name));
    if (sign.representative) row.dataset.frame = sign.representative.index;
    row.append(this._measured(sign));
    return row;
  }

  _measured(sign) {
    const made = element("p", `${t("signs_measured", { model: `${sign.model.name} ${sign.model.version}` })} `, "note");
    const sentence = element("span", sign.measured);
    sentence.lang = "en"; // the bundle's own
    made.append(sentence);
    return made;
  }

  _timeline(sign, name) {
    const made = element("div", "", "lane");
    const chart = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const top = sign.moments.reduce((best, next) => (next.probability > best.probability ? next : best));
    const span = { start: number(top.start_s, 1), end: number(top.end_s, 1), probability: number(top.probability, 2) };
    chart.id = `lane-${sign.sign}`;
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", `${name}: ${t("signs_lane", span)}`);
    chart.addEventListener("pointerdown", (event) => this.player.seek(event));
    made.append(chart);
    if (sign.representative) made.append(this._marker(sign, name));
    return made;
  }

  _marker(sign, name) {
    const { index, t_s: at } = sign.representative;
    const marker = element("button", "▼");
    marker.type = "button";
    marker.style.setProperty("--share", at / Math.max(this.answer.clip.duration_s, 1e-9));
    marker.title = t(sign.verdict === "present" ? "signs_best" : "signs_most_like", { frame: index + 1, at: number(at, 2) });
    marker.setAttribute("aria-label", `${name}: ${marker.title}`);
    marker.addEventListener("click", () => this._go(sign));
    return marker;
  }

  _go(sign) {
    const { player } = this;
    if (!player.overlay) return;
    player.overlay.maps.chosen = sign.sign; // two may be seen best in one frame
    player.pause();
    player.go(sign.representative.index);
  }
}

const lane = (name) => $(`lane-${name}`);
