// What the parts of the administrator's page are made of: lists that stay while they say the same, figures, times, sizes.
import { element } from "./dom.js";
import { number, spoken } from "./texts.js";

/** Put items in a list, but leave it alone while it says the same; a button that had the focus has it again. */
export function fill(list, described, make) {
  const key = JSON.stringify(described);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  list.replaceChildren(...described.map(make));
  if (focused) list.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

export function figure(value, words) {
  const made = element("span");
  made.append(element("b", String(value)), ` ${words}`);
  return made;
}

/** "3 min": one unit, rounded down. */
export function age(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

/** "1.2 GiB": as df -h and nvidia-smi count. */
export function size(bytes) {
  for (const [unit, length] of [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20]]) {
    if (bytes >= length) return `${number(bytes / length, bytes >= 100 * length ? 0 : 1)} ${unit}`;
  }
  return `${number(bytes / 1024, 0)} KiB`;
}

/** "03:12", with the date when that is not today. */
export function clock(iso) {
  const moment = new Date(iso);
  const isToday = moment.toDateString() === new Date().toDateString();
  return moment.toLocaleString(spoken(), { ...(isToday ? {} : { dateStyle: "short" }), timeStyle: "short" });
}

export function when(iso) {
  const made = element("time", new Date(iso).toLocaleString(spoken(), { dateStyle: "short", timeStyle: "medium" }));
  made.dateTime = iso;
  return made;
}
