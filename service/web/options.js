// What is asked for besides the verdict on sliding. Offered where the service can tell it; the browser remembers what was ticked.
import { $ } from "./dom.js";

const KEPT = "seashore-signs";

$("signs-wanted").checked = localStorage.getItem(KEPT) === "true";
$("signs-wanted").addEventListener("change", () => localStorage.setItem(KEPT, $("signs-wanted").checked));

/** `signs`: the service's models of signs. */
export function offer(signs) {
  $("signs-option").hidden = signs.length === 0;
}

/** Of a clip that is handed in now, as the API takes them. */
export const options = () => ($("signs-wanted").checked && !$("signs-option").hidden ? { signs: "all" } : {});
