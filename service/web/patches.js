// Patches on the picture: their colours, and saliency bent onto their outlines as service/evidence/heat.py bends it.
const STILL = [240, 120, 40];
const UNCLEAR = [178, 178, 178];
const SLIDING = [70, 165, 240];
const DASHES = { sliding: [], unclear: [1.5, 3], still: [6, 4] };
const DENSITY = 2; // pixels of heat for each of the picture

export const reading = (probability) => (probability === null ? "unread" : probability >= 2 / 3 ? "sliding" : probability < 1 / 3 ? "still" : "unclear");
export const dashes = (probability) => DASHES[reading(probability)];

/** Orange at 0, grey at 0.5, blue at 1. */
export function colour(probability) {
  const [first, last, share] = probability < 0.5 ? [STILL, UNCLEAR, 2 * probability] : [UNCLEAR, SLIDING, 2 * probability - 1];
  return `rgb(${first.map((value, i) => Math.round(value + (last[i] - value) * share)).join(" ")})`;
}

export function path(points) {
  const outline = new Path2D();
  points.forEach(([x, y], i) => (i ? outline.lineTo(x, y) : outline.moveTo(x, y)));
  outline.closePath();
  return outline;
}

/** The outline's sides: top and bottom left to right, left and right top to bottom; its corners are where it turns most. */
function sides(polygon) {
  const n = polygon.length;
  const area = polygon.reduce((sum, [x, y], i) => sum + x * polygon[(i + 1) % n][1] - y * polygon[(i + 1) % n][0], 0);
  const outline = area < 0 ? [polygon[0], ...polygon.slice(1).reverse()] : polygon;
  const turn = outline.map(([x, y], i) => {
    const [[x0, y0], [x1, y1]] = [outline[(i + n - 1) % n], outline[(i + 1) % n]];
    const [dx, dy, ex, ey] = [x - x0, y - y0, x1 - x, y1 - y];
    return Math.abs(Math.atan2(dx * ey - dy * ex, dx * ex + dy * ey));
  });
  const [a, b, c, d] = turn.map((_, i) => i).sort((i, j) => turn[j] - turn[i] || i - j).slice(0, 4).sort((i, j) => i - j);
  return [outline.slice(a, b + 1), outline.slice(b, c + 1), outline.slice(c, d + 1).reverse(), [...outline.slice(d), ...outline.slice(0, a + 1)].reverse()];
}

function pointsAlong(side, count) {
  const along = [0];
  for (let i = 1; i < side.length; i++) along.push(along[i - 1] + Math.hypot(side[i][0] - side[i - 1][0], side[i][1] - side[i - 1][1]));
  const points = [];
  for (let k = 0, i = 1; k <= count; k++) {
    const at = (along[along.length - 1] * k) / count;
    while (i < along.length - 1 && along[i] < at) i++;
    const share = along[i] > along[i - 1] ? (at - along[i - 1]) / (along[i] - along[i - 1]) : 0;
    points.push([side[i - 1][0] + (side[i][0] - side[i - 1][0]) * share, side[i - 1][1] + (side[i][1] - side[i - 1][1]) * share]);
  }
  return points;
}

const length = (side) => side.slice(1).reduce((sum, [x, y], i) => sum + Math.hypot(x - side[i][0], y - side[i][1]), 0);

/** Magenta to pale yellow, invisible below a tenth. */
function heatColour(level) {
  const share = level / 255;
  return [200 + 55 * share, 30 + 215 * share, 150 + 20 * share, 255 * 0.75 * Math.min(1, Math.max(0, (share - 0.1) / 0.9)) ** 0.8];
}

/** Grey levels of a base64 PNG. */
async function levels(png) {
  const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(png), (c) => c.charCodeAt(0))], { type: "image/png" }), { colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  bitmap.close();
  return { width, height, at: (x, y) => data[4 * (Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x)))] };
}

/** A map as a picture of its own size, a pixel for each of its places. */
export async function colourMap(png) {
  const map = await levels(png);
  const canvas = new OffscreenCanvas(map.width, map.height);
  const context = canvas.getContext("2d");
  const image = context.createImageData(map.width, map.height);
  for (let y = 0; y < map.height; y++) for (let x = 0; x < map.width; x++) image.data.set(heatColour(map.at(x, y)), 4 * (y * map.width + x));
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A patch's saliency as a picture that lies at (x, y) on the clip, `scale` pixels for each of the clip's. */
export async function heat(patch) {
  const map = await levels(patch.saliency.map);
  const [top, right, bottom, left] = sides(patch.polygon);
  const steps = Math.ceil(2 * DENSITY * Math.max(...[top, right, bottom, left].map(length))) + 1;
  const [upper, east, lower, west] = [top, right, bottom, left].map((side) => pointsAlong(side, steps));
  const [x0, y0, x1, y1] = patch.box.map((v, i) => (i < 2 ? Math.floor(v) - 1 : Math.ceil(v) + 1));
  const canvas = new OffscreenCanvas((x1 - x0) * DENSITY, (y1 - y0) * DENSITY);
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let j = 0; j <= steps; j++) {
    const v = j / steps;
    for (let i = 0; i <= steps; i++) {
      const u = i / steps;
      const place = [0, 1].map(
        (axis) =>
          (1 - v) * upper[i][axis] + v * lower[i][axis] + (1 - u) * west[j][axis] + u * east[j][axis] -
          ((1 - u) * (1 - v) * upper[0][axis] + u * (1 - v) * upper[steps][axis] + (1 - u) * v * lower[0][axis] + u * v * lower[steps][axis]),
      );
      const x = Math.floor((place[0] + 0.5 - x0) * DENSITY), y = Math.floor((place[1] + 0.5 - y0) * DENSITY);
      if (x < 0 || y < 0 || x >= canvas.width || y >= canvas.height) continue;
      image.data.set(heatColour(map.at(Math.floor(u * map.width), Math.floor(v * map.height))), 4 * (y * canvas.width + x));
    }
  }
  context.putImageData(image, 0, 0);
  return { canvas, x: x0 - 0.5, y: y0 - 0.5, width: x1 - x0, height: y1 - y0 };
}

/** How much each frame of a window mattered, without the flicker of the network's stride in time. */
export const smooth = (weights) =>
  weights.map((_, i) => {
    const near = weights.slice(Math.max(0, i - 2), i + 3);
    return near.reduce((sum, weight) => sum + weight, 0) / near.length;
  });
