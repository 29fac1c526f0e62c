/**
 * Our entries in ComfyUI's settings dialog: the API key and the sandbox.
 *
 * Both live on the server. ComfyUI's own settings file never learns of either: nothing here calls its setter.
 */

import { element, wordButton } from "./elements.js";
import { changes, forgetKey, readState, state, storeKey, switchSandbox } from "./server.js";
import { word } from "./words.js";

const KEY_WORDS = { stored: "keyStored", environment: "keyFromEnvironment", missing: "keyIsMissing" };

/** Call `show` with the state now and at each change, for as long as the element is on the page. */
function follow(shown, show) {
  const listen = ({ detail }) => {
    if (wasShown && !shown.isConnected) changes.removeEventListener("state", listen);
    else show(detail);
    wasShown ||= shown.isConnected;
  };
  let wasShown = false;
  changes.addEventListener("state", listen);
  if (state()) show(state());
}

async function attempt(status, step) {
  status.classList.remove("flux-nodes-bad");
  try {
    await step();
  } catch (error) {
    status.classList.add("flux-nodes-bad");
    status.textContent = error.message;
  }
}

function statusLine() {
  return element("span", { class: "flux-nodes-status", role: "status" });
}

function keyField(send) {
  return element("input", {
    type: "password",
    class: "flux-nodes-field",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: word("keyPlaceholder"),
    "aria-label": word("keyLabel"),
    on: { keydown: (event) => event.key === "Enter" && send() },
  });
}

function keyEntry() {
  const status = statusLine();
  const field = keyField(() => store());
  async function store() {
    const key = field.value.trim();
    if (!key) {
      status.textContent = word("keyEmpty");
      return;
    }
    field.value = "";
    await attempt(status, () => storeKey(key));
  }
  const storing = wordButton(word("keyStore"), store, { class: "flux-nodes-button flux-nodes-main" });
  const forgetting = wordButton(word("keyForget"), () => attempt(status, forgetKey));
  const note = element("span", { class: "flux-nodes-note", text: word("keyNote") });
  const row = element("div", { class: "flux-nodes-row" }, field, storing, forgetting);
  const entry = element("div", { class: "flux-nodes-setting" }, row, status, note);
  follow(entry, ({ key }) => {
    status.textContent = word(KEY_WORDS[key]);
    field.disabled = storing.disabled = key === "environment";
    forgetting.disabled = key !== "stored";
  });
  readState().catch((error) => {
    status.textContent = error.message;
  });
  return entry;
}

function sandboxEntry() {
  const status = statusLine();
  const flip = () => attempt(status, () => switchSandbox(toggle.getAttribute("aria-checked") !== "true"));
  const toggle = element("button", {
    type: "button",
    role: "switch",
    class: "flux-nodes-switch",
    "aria-checked": "false",
    "aria-label": word("sandbox"),
    on: { click: flip },
  });
  const row = element("div", { class: "flux-nodes-row" }, toggle);
  const entry = element("div", { class: "flux-nodes-setting" }, row, status);
  follow(entry, ({ sandbox }) => {
    toggle.setAttribute("aria-checked", String(sandbox));
    status.textContent = word(sandbox ? "sandboxOn" : "sandboxOff");
  });
  return entry;
}

/** Give our settings, for `registerExtension`. Their names are translated by ComfyUI. */
export function settings() {
  return [
    {
      id: "FluxNodes.Sandbox",
      name: "Sandbox",
      tooltip: "Pretended pictures, free and without a key, in place of the service's. For this ComfyUI only.",
      category: ["Flux Nodes", "Service", "Sandbox"],
      type: sandboxEntry,
      defaultValue: null,
    },
    {
      id: "FluxNodes.Key",
      sortOrder: 10,
      name: "APIFRAME API key",
      tooltip: "Stored on this ComfyUI's server, outside of every workflow.",
      category: ["Flux Nodes", "Service", "Key"],
      type: keyEntry,
      defaultValue: null,
    },
  ];
}
