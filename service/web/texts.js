// Which language the page speaks. Every sentence of it is in texts/<language>.js; another language is another such file.
import { texts as en } from "./texts/en.js";
import { texts as sk } from "./texts/sk.js";

const LANGUAGES = { en, sk };
const KEPT = "seashore-language";

let language = chosen();

/** Add a page's own texts, by language, to those that all pages have. */
export function learn(more) {
  for (const [tag, texts] of Object.entries(more)) LANGUAGES[tag] = { ...LANGUAGES[tag], ...texts };
}

function chosen() {
  const wanted = [localStorage.getItem(KEPT), ...navigator.languages.map((tag) => tag.slice(0, 2)), "en"];
  return wanted.find((tag) => tag in LANGUAGES);
}

export const names = () => Object.entries(LANGUAGES).map(([tag, { language: name }]) => [tag, name]);
export const spoken = () => language;

export function speak(tag) {
  language = tag;
  localStorage.setItem(KEPT, tag);
  translate(document);
}

/** The text of a key; {names} in it are filled in. English where the language has none. */
export function t(key, values = {}) {
  const text = LANGUAGES[language][key] ?? LANGUAGES.en[key];
  if (typeof text === "function") return text(values);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export const has = (key) => key in LANGUAGES[language];

/** Numbers as the language writes them. */
export const number = (value, digits) => value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });

/** Fill in everything below a node that names its text: data-t the content, data-t-label the accessible name. */
export function translate(root) {
  document.documentElement.lang = language;
  document.title = t("title");
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-label]")) {
    node.setAttribute("aria-label", t(node.dataset.tLabel));
    if (node.tagName === "BUTTON") node.title = t(node.dataset.tLabel);
  }
}
