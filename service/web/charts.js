// Small SVG charts. Everything drawn here is also said in words beside it.
import { reading } from "./patches.js";
import { number, t } from "./texts.js";

const LEFT = 44;
const RIGHT = 12;

/** Drawn at the width it is shown at, so that its text stays readable on a telephone. */
const widthOf = (svg) => Math.max(svg.clientWidth, 260) || 640;

function element(name, attributes = {}, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}

const line = (x1, y1, x2, y2, kind) => element("line", { x1, y1, x2, y2, class: kind });
const label = (x, y, text, anchor = "middle", kind = "") => element("text", { x, y, "text-anchor": anchor, class: kind }, text);

/** A probability on 0..1 with its interval. */
export function drawScale(svg, { probability, interval }) {
  const x = (p) => 8 + p * 384;
  const nodes = [element("rect", { x: 8, y: 12, width: 384, height: 8, rx: 4, class: "track" })];
  if (interval) nodes.push(element("rect", { x: x(interval[0]), y: 12, width: Math.max(x(interval[1]) - x(interval[0]), 2), height: 8, class: "interval" }));
  nodes.push(element("circle", { cx: x(probability), cy: 16, r: 8, class: "marker" }));
  nodes.push(label(8, 40, t("scale_still"), "start"), label(200, 40, number(0.5, 1)), label(392, 40, t("scale_sliding"), "end"));
  svg.replaceChildren(...nodes);
}

/** One bar a column: how far the lung moved past the wall there. In mm where every column has a scale, else in px. */
export function drawSlide(svg, pleura, frameWidth, lungPoint) {
  const chartWidth = widthOf(svg), height = 240, top = 22, bottom = 196;
  const columns = pleura.columns;
  const inMm = columns.length > 0 && columns.every((c) => c.slide_mm !== null);
  const perPx = (c) => (inMm && c.slide_px > 0 ? c.slide_mm / c.slide_px : inMm ? 0 : 1);
  const values = columns.map((c) => ({ ...c, slide: inMm ? c.slide_mm : c.slide_px, wall: c.wall_px * perPx(c) }));
  const xs = pleura.line.map(([x]) => x).concat(columns.map((c) => c.x_px));
  const [first, last] = xs.length ? [Math.max(0, Math.min(...xs) - 12), Math.min(frameWidth, Math.max(...xs) + 12)] : [0, frameWidth];
  const x = (px) => LEFT + ((px - first) / Math.max(last - first, 1)) * (chartWidth - LEFT - RIGHT);
  const { limit, step } = ticks(Math.max(...values.map((v) => Math.max(v.slide, v.wall)), inMm ? 0.2 : 1));
  const y = (value) => bottom - (value / limit) * (bottom - top);
  const gap = columns.length > 1 ? Math.min(...columns.slice(1).map((c, i) => x(c.x_px) - x(columns[i].x_px))) : 40;
  const width = Math.min(Math.max(gap * 0.7, 4), 40);

  const nodes = [label(4, 13, inMm ? "mm" : "px", "start")];
  for (let value = 0; value <= limit + 1e-9; value += step) {
    nodes.push(line(LEFT, y(value), chartWidth - RIGHT, y(value), "axis"), label(LEFT - 6, y(value) + 4, trim(value), "end"));
  }
  for (const v of values) {
    const bar = element("rect", { x: x(v.x_px) - width / 2, y: y(v.slide), width, height: bottom - y(v.slide), class: `bar ${reading(v.probability)}` });
    bar.append(element("title", {}, barTitle(v)));
    nodes.push(bar, line(x(v.x_px) - width / 2 - 2, y(v.wall), x(v.x_px) + width / 2 + 2, y(v.wall), "wall"));
  }
  for (const [x0, x1] of pleura.interspaces) {
    nodes.push(element("rect", { x: x(x0), y: bottom + 5, width: Math.max(x(x1) - x(x0), 2), height: 4, rx: 2, class: "interspace" }));
  }
  nodes.push(label(x(first), bottom + 24, `x ${Math.round(first)} px`, "start"), label(x(last), bottom + 24, `${Math.round(last)} px`, "end"));
  nodes.push(label(chartWidth / 2, bottom + 24, t("interspaces")));
  if (lungPoint.suspected && lungPoint.x_px !== null) {
    const anchor = x(lungPoint.x_px) > chartWidth / 2 ? "end" : "start";
    nodes.push(line(x(lungPoint.x_px), top - 8, x(lungPoint.x_px), bottom, "lung-point"));
    nodes.push(label(x(lungPoint.x_px) + (anchor === "end" ? -6 : 6), top - 4, t("lung_point_mark"), anchor, "lung-point-text"));
  }
  svg.setAttribute("viewBox", `0 0 ${chartWidth} ${height}`);
  svg.replaceChildren(...nodes);
}

function barTitle(v) {
  return t("bar", {
    x: number(v.x_px, 0),
    px: number(v.slide_px, 2),
    mm: v.slide_mm === null ? "" : number(v.slide_mm, 2),
    wall: number(v.wall_px, 2),
    tracking: number(v.tracking, 2),
    probability: v.probability === null ? "" : number(v.probability, 2),
  });
}

/** Shift of the lung past the wall in an eighth of a second, through time; `seconds` long, as the clip is. Gives what moves its cursor. */
export function drawTime(svg, { t_s: times, px }, seconds) {
  const chartWidth = widthOf(svg), height = 170, top = 12, bottom = 136;
  const end = seconds || 1;
  const { limit, step } = ticks(Math.max(...px.map(Math.abs), 1), 2);
  const x = (at) => LEFT + (at / end) * (chartWidth - LEFT - RIGHT);
  const y = (v) => (top + bottom) / 2 - (v / limit) * ((bottom - top) / 2);
  const nodes = [];
  for (let value = -limit; value <= limit + 1e-9; value += step) {
    nodes.push(line(LEFT, y(value), chartWidth - RIGHT, y(value), "axis"), label(LEFT - 6, y(value) + 4, trim(value), "end"));
  }
  nodes.push(element("polyline", { points: times.map((at, i) => `${x(at).toFixed(1)},${y(px[i]).toFixed(1)}`).join(" "), class: "trace" }));
  nodes.push(label(LEFT, bottom + 24, "0 s", "start"), label(chartWidth - RIGHT, bottom + 24, `${number(end, 1)} s`, "end"), label(chartWidth / 2, bottom + 24, t("over_time_axis")));
  const cursor = line(LEFT, top, LEFT, bottom, "cursor");
  nodes.push(cursor);
  svg.setAttribute("viewBox", `0 0 ${chartWidth} ${height}`);
  svg.replaceChildren(...nodes);
  return (at) => ["x1", "x2"].forEach((name) => cursor.setAttribute(name, x(at).toFixed(1)));
}

/** One sign through time, as high as it is probable; inside each moment a finer line: how much each of its frames counted, where the
 * model says so. As wide as the clip is long, with nothing beside it, as the M-mode. Gives what moves its cursor. */
export function drawLane(svg, { moments, representative }, seconds) {
  const width = svg.clientWidth || 640, height = 44;
  const x = (at) => (at / (seconds || 1)) * width;
  const y = (share) => height - 1 - share * (height - 2);
  const most = Math.max(...moments.flatMap((moment) => moment.attention ?? []));
  const nodes = [line(0, y(0.5), width, y(0.5), "axis"), line(0, y(0), width, y(0), "axis")];
  shownSpans(moments).forEach(([start, end], i) => {
    const { probability, attention, start_s: from, end_s: to } = moments[i];
    nodes.push(element("rect", { x: x(start), y: y(probability), width: Math.max(x(end) - x(start), 1), height: y(0) - y(probability), class: "sign" }));
    if (!attention) return;
    const points = attention.map((weight, k) => [from + ((k + 0.5) / attention.length) * (to - from), weight / most]).filter(([at]) => at >= start && at <= end);
    nodes.push(element("polyline", { points: points.map(([at, share]) => `${x(at).toFixed(1)},${y(share).toFixed(1)}`).join(" "), class: "attention" }));
  });
  if (representative) nodes.push(line(x(representative.t_s), 0, x(representative.t_s), height, "best"));
  const cursor = line(0, 0, 0, height, "cursor");
  nodes.push(cursor);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...nodes);
  return (at) => ["x1", "x2"].forEach((name) => cursor.setAttribute(name, x(at).toFixed(1)));
}

/** The seconds each moment is drawn for: where two overlap they meet half way, as on the annotated clip. */
function shownSpans(moments) {
  const meets = moments.slice(1).map((moment, i) => (moments[i].end_s + moment.start_s) / 2);
  return moments.map((moment, i) => [meets[i - 1] ?? moment.start_s, meets[i] ?? moment.end_s]);
}

/** A round upper limit and a few steps to it, `most` at the most. */
export function ticks(largest, most = 5) {
  const power = 10 ** Math.floor(Math.log10(largest));
  const step = [0.2, 0.5, 1, 2, 5, 10].map((s) => s * power).find((s) => largest / s <= most);
  return { limit: Math.ceil(largest / step - 1e-9) * step, step };
}

const trim = (value) => Number(value.toFixed(3)).toLocaleString(document.documentElement.lang).replace("-", "−");
