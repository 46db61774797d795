// What both pages do with the document.
export const $ = (id) => document.getElementById(id);

export function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** A sentence of the service's or a bundle's own: English in every language, and marked so. */
export function own(text, tag = "p") {
  const made = element(tag, text, "own");
  made.lang = "en";
  return made;
}
