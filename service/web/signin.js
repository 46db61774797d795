// Who asks: where the service wants to know it, the page asks for a key, and the browser keeps a session for a shift.
import { $, element } from "./dom.js";
import { t } from "./texts.js";

const SESSION = "v1/session";
let asked = null;

/** Resolves once somebody has signed in; whoever else asks meanwhile waits for the same. */
export const signIn = () => (asked ??= ask().finally(() => (asked = null)));

/** As `fetch`, once it is known who asks. */
export async function fetchKnown(address, options = {}) {
  const response = await fetch(address, options);
  if (response.status !== 401) return response;
  await signIn();
  return fetchKnown(address, options);
}

export async function signOut() {
  await fetch(SESSION, { method: "DELETE" });
  location.reload();
}

/** {owner, scopes}, or null where it is not known who asks. */
export async function whoAsks() {
  const response = await fetch(SESSION);
  return response.ok ? response.json() : null;
}

function ask() {
  const dialog = dialogFor(document.body);
  const key = $("key"), said = $("sign-in-said");
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("cancel", (event) => event.preventDefault()); // there is nothing to see without a key
    $("sign-in-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      said.textContent = t("signing_in");
      said.textContent = await refusal(key.value);
      if (said.textContent) return key.select();
      dialog.remove();
      resolve();
    });
  });
}

/** Why a key is not taken; "" when it is. */
async function refusal(key) {
  try {
    const response = await fetch(SESSION, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ key }) });
    if (response.ok) return "";
    return response.status === 401 ? t("key_refused") : ((await response.json()).detail ?? t("status", { status: response.status }));
  } catch {
    return t("unreachable");
  }
}

function dialogFor(body) {
  const dialog = element("dialog", "", "card");
  dialog.id = "sign-in";
  dialog.setAttribute("aria-labelledby", "sign-in-heading");
  const form = element("form");
  form.id = "sign-in-form";
  const heading = element("h2", t("sign_in"));
  heading.id = "sign-in-heading";
  const label = element("label", t("key_label"));
  label.htmlFor = "key";
  const key = element("input");
  Object.assign(key, { id: "key", type: "password", required: true, maxLength: 200, autocomplete: "current-password" });
  const said = element("p");
  said.id = "sign-in-said";
  said.setAttribute("role", "alert");
  form.append(heading, label, key, element("p", t("key_from"), "note"), said, element("button", t("sign_in")));
  dialog.append(form);
  body.append(dialog);
  return dialog;
}
