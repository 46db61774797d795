// What the head of both pages lets a reader choose: the language, and a light or a dark page.
import { $ } from "./dom.js";
import { names, speak, spoken } from "./texts.js";

/** `said` is called when the page speaks another language from now on. */
export function letChoose(said) {
  $("language").replaceChildren(...names().map(([tag, name]) => new Option(name, tag, false, tag === spoken())));
  $("language").addEventListener("change", (event) => {
    speak(event.target.value);
    said();
  });
  $("scheme").addEventListener("click", () => {
    const detail = document.documentElement.dataset.scheme === "dark" ? "light" : "dark";
    dispatchEvent(new CustomEvent("scheme", { detail }));
  });
}
