// What was tracked: an arrow for the chest wall and one for the lung at every place that was followed. Where they differ, it slides.
const WALL = "#ffffff", LUNG = "#f0e442", GROUND = "rgb(0 0 0 / 65%)";
export const LONGER = 5; // an arrow is so many times as long as the way it stands for, which is a few pixels

/** The shifts measured from a moment: index into the motion's moments, or -1 where nothing was measured near it. */
export function momentAt({ t_s: moments }, seconds) {
  let [low, high] = [0, moments.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (moments[middle] <= seconds + 1e-6) low = middle;
    else high = middle - 1;
  }
  return low <= high && Math.abs(moments[low] - seconds) < 0.2 ? low : -1;
}

/** Arrows at a moment: [x, y, dx, dy] in pixels of the clip, of what was followed. Along the pleura is square to the way from wall to lung. */
export function arrows({ wall_at: walls, lung_at: lungs, wall_px: wallPx, lung_px: lungPx }, moment) {
  const made = { wall: [], lung: [] };
  walls.forEach(([x0, y0], k) => {
    const [x1, y1] = lungs[k];
    const far = Math.hypot(x1 - x0, y1 - y0) || 1;
    const [along, deep] = [(y1 - y0) / far, -(x1 - x0) / far];
    for (const [kind, x, y, shift] of [["wall", x0, y0, wallPx[moment][k]], ["lung", x1, y1, lungPx[moment][k]]]) {
      if (shift !== null) made[kind].push([x, y, LONGER * shift * along, LONGER * shift * deep]);
    }
  });
  return made;
}

export function drawMotion(context, motion, seconds, px) {
  const moment = momentAt(motion, seconds);
  if (moment < 0) return;
  const { wall, lung } = arrows(motion, moment);
  for (const [ink, kind] of [[WALL, wall], [LUNG, lung]]) {
    const outline = new Path2D();
    for (const arrow of kind) addArrow(outline, arrow, px);
    context.setLineDash([]);
    for (const [colour, width] of [[GROUND, 4.5], [ink, 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * px;
      context.stroke(outline);
    }
  }
}

/** A dot where it stood still. */
function addArrow(outline, [x, y, dx, dy], px) {
  const far = Math.hypot(dx, dy), head = Math.min(6 * px, far);
  outline.moveTo(x, y);
  outline.lineTo(x + dx, y + dy);
  if (far < px) return outline.rect(x - px / 2, y - px / 2, px, px);
  const [ux, uy] = [(dx / far) * head, (dy / far) * head];
  outline.moveTo(x + dx - ux - uy * 0.6, y + dy - uy + ux * 0.6);
  outline.lineTo(x + dx, y + dy);
  outline.lineTo(x + dx - ux + uy * 0.6, y + dy - uy - ux * 0.6);
}
