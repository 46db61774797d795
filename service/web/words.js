// The answer in words, the same as the annotated clip and the command line say them.

const REASONS = {
  too_short: "the clip is too short",
  frozen: "the picture is frozen",
  frame_rate_too_low: "the frame rate is too low",
  no_pleura: "no pleural line was found",
  pleura_doubtful: "the pleural line is doubtful",
  probe_moving: "the probe moved",
  too_dark: "the picture is too dark",
  not_ultrasound: "this does not look like ultrasound",
  tracking_lost: "the chest wall could not be followed",
};

export function headline(answer) {
  const reason = answer.quality.reasons[0];
  const because = (otherwise) => (reason && REASONS[reason.code]) || otherwise;
  const verdict = answer.lung_sliding.verdict;
  if (verdict === "not_assessable") return `Not assessable: ${because("lung sliding could not be read")}`;
  if (isLungPointSaid(answer)) return "Suspected lung point: slides on one side only";
  if (verdict === "indeterminate") return `Cannot tell: ${because("neither clearly sliding nor clearly still")}`;
  return verdict === "present" ? "Lung sliding present" : "Lung sliding absent";
}

/** Which colour the verdict has: present, absent, indeterminate, not_assessable or lung-point. */
export function tone(answer) {
  return isLungPointSaid(answer) ? "lung-point" : answer.lung_sliding.verdict;
}

/** A suspected lung point goes before every other reason but one: what may not be pleura has no lung point. */
function isLungPointSaid(answer) {
  return answer.lung_point.suspected && !answer.quality.reasons.some((reason) => reason.code === "pleura_doubtful");
}

export function probability({ probability, interval }) {
  if (probability === null) return "";
  const range = interval ? ` (95 %: ${interval[0].toFixed(2)} to ${interval[1].toFixed(2)})` : "";
  return `Probability of sliding ${probability.toFixed(2)}${range}`;
}

export function wallControl({ probability, wall_control: control }) {
  if (probability === null) return "";
  if (control === null) return "Control: too little chest wall to check against.";
  return `Control: the chest wall itself, which cannot slide, reads ${control.toFixed(2)}.`;
}

/** How a probability is drawn: sliding, unclear or still; unread where there is none. */
export function reading(probability) {
  if (probability === null) return "unread";
  return probability >= 2 / 3 ? "sliding" : probability < 1 / 3 ? "still" : "unclear";
}

export function slide(columns) {
  if (columns.length === 0) return "No place along the pleura could be measured.";
  const px = median(columns.map((c) => c.slide_px));
  const wall = median(columns.map((c) => c.wall_px));
  const inMm = columns.every((c) => c.slide_mm !== null) ? ` (${median(columns.map((c) => c.slide_mm)).toFixed(2)} mm)` : "";
  const places = columns.length === 1 ? "1 place" : `${columns.length} places`;
  return `The lung moved ${px.toFixed(2)} px${inMm} past the chest wall in an eighth of a second (RMS, median of ${places}); the wall moved ${wall.toFixed(2)} px past itself.`;
}

export function facts(answer) {
  const { clip, model, quality, timings_ms: times } = answer;
  const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
  return [
    ["Clip", `${clip.frames} frames, ${clip.fps.toFixed(1)} fps, ${clip.duration_s.toFixed(1)} s, ${clip.width} × ${clip.height}`],
    ["Probe", clip.probe],
    ["Scale", clip.mm_per_px === null ? "not stated in the clip" : `${clip.mm_per_px} mm a pixel`],
    ["Picture quality", `${quality.score.toFixed(2)}${quality.assessable ? "" : ", not sufficient"}`],
    ["Model", `${model.name} ${model.version}`],
    ["Model’s digest", model.sha256.slice(0, 16)],
    ["Read on", model.device],
    ["Time", `${seconds(times.total)}: decode ${seconds(times.decode)}, pleura ${seconds(times.pleura)}, model ${seconds(times.model)}, saliency ${seconds(times.saliency)}`],
    ["Answer", answer.id],
  ];
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
