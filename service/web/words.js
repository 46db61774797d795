// The answer in words, the same as the annotated clip and the command line say them.
import { has, number, t } from "./texts.js";

/** present, absent, indeterminate, not_assessable or lung_point: which colour, mark and rank an answer has. */
export const tone = (answer) => (isLungPointSaid(answer) ? "lung_point" : answer.lung_sliding.verdict);

export function headline(answer) {
  const reason = answer.quality.reasons[0];
  const because = (otherwise) => t(reason ? `because_${reason.code}` : otherwise);
  const said = tone(answer);
  return t(said, { because: because(said === "not_assessable" ? "because_unread" : "because_unclear") });
}

/** A suspected lung point goes before every other reason but one: what may not be pleura has no lung point. */
function isLungPointSaid(answer) {
  return answer.lung_point.suspected && !answer.quality.reasons.some((reason) => reason.code === "pleura_doubtful");
}

/** What to do about a reason: the service's own sentence, or the language's. */
export const advice = ({ code, detail }) => (has(`advice_${code}`) ? t(`advice_${code}`) : detail);

export const intendedUse = (answer) => (has("intended_use") ? t("intended_use") : answer.intended_use);

export function probability({ probability: value, interval }) {
  if (value === null) return "";
  const range = interval && { low: share(interval[0]), high: share(interval[1]) };
  return t(range ? "probability_range" : "probability", { probability: share(value), ...range });
}

/** Never 0.00 or 1.00: nothing that is read off a clip is certain. As in service/evidence/words.py. */
const share = (value) => number(Math.min(Math.max(value, 0.01), 0.99), 2);

export function wallControl({ probability: value, wall_control: control }) {
  if (value === null) return "";
  return control === null ? t("control_none") : t("control", { control: number(control, 2) });
}

/** As in service/evidence/words.py, which says why. */
const DOUBTED_STILL = 0.15;
const DOUBTED_CONTROL = 0.65;

/** What a careful reader should look at twice. */
export function* doubts({ lung_sliding: { verdict, wall_control: control }, windows }) {
  if (verdict !== "present" && verdict !== "absent") return;
  const patches = windows.flatMap((window) => window.patches.map((patch) => patch.probability));
  const says = patches.length ? median(patches) : 0.5;
  if (verdict === "present" && says < DOUBTED_STILL) yield t("doubt_still_patches");
  if (verdict === "absent" && says > 1 / 2) yield t("doubt_sliding_patches");
  if (verdict === "present" && control !== null && control > DOUBTED_CONTROL) yield t("doubt_control");
}

/** A sign's verdict and the number it rests on, which says what it counts whatever the verdict is. */
export function signFacts({ verdict, probability: value }) {
  const said = t(`signs_${verdict}`);
  return value === null ? said : t("signs_said", { verdict: said, probability: share(value) });
}

/** Why a sign cannot be assessed: the language's sentence, or the service's own. */
export const signReason = ({ code, detail }) => (has(`signs_reason_${code}`) ? t(`signs_reason_${code}`) : detail);

export function quality({ assessable, score }) {
  const word = !assessable ? "insufficient" : score >= 0.75 ? "good" : score >= 0.5 ? "fair" : "poor";
  return t(`quality_${word}`, { score: number(score, 2) });
}

export function slide(columns) {
  if (columns.length === 0) return t("slide_none");
  const inMm = columns.every((c) => c.slide_mm !== null);
  return t("slide_text", {
    px: number(median(columns.map((c) => c.slide_px)), 2),
    mm: inMm ? number(median(columns.map((c) => c.slide_mm)), 2) : "",
    wall: number(median(columns.map((c) => c.wall_px)), 2),
    places: columns.length,
  });
}

export function facts(answer) {
  const { clip, model, timings_ms: times } = answer;
  const seconds = Object.fromEntries(Object.entries(times).map(([stage, ms]) => [stage, number(ms / 1000, 2)]));
  const { frames, width, height } = clip;
  return [
    [t("fact_clip"), t("fact_clip_text", { frames, width, height, fps: number(clip.fps, 1), seconds: number(clip.duration_s, 1) })],
    [t("fact_probe"), t(`probe_${clip.probe}`)],
    [t("fact_scale"), clip.mm_per_px === null ? t("fact_scale_none") : t("fact_scale_text", { mm: number(clip.mm_per_px, 4) })],
    [t("fact_model"), `${model.name} ${model.version}`],
    [t("fact_digest"), model.sha256.slice(0, 16)],
    [t("fact_device"), model.device],
    ...(answer.signs.length ? [[t("fact_signs"), [...new Set(answer.signs.map((sign) => `${sign.model.name} ${sign.model.version}`))].join(", ")]] : []),
    [t("fact_time"), t("fact_time_text", seconds)],
    [t("fact_answer"), answer.id],
  ];
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
