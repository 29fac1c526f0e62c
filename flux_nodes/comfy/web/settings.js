/**
 * Our entries in ComfyUI's settings dialog: the API key and the sandbox.
 *
 * Both live on the server. ComfyUI's own settings file never learns of either: nothing here calls its setter.
 */

import { element, wordButton } from "./elements.js";
import { account, changes, forgetKey, readState, state, storeKey, switchSandbox } from "./server.js";
import { counted, word } from "./words.js";

const UNKNOWN = 409; // what the server answers where the service does not know the key
const UNANSWERED = 504; // and where the service does not answer
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

function doubt({ status, message }) {
  if (status === UNKNOWN) return word("keyUnknown");
  return status === UNANSWERED ? word("keyUnanswered") : word("keyUnchecked", { sentence: message });
}

/** Tells on its `line` what the service says to the key; only the newest question is answered. */
class KeyCheck {
  line = statusLine();
  turn = 0;

  say(sentence, isBad = false) {
    this.turn++;
    this.line.classList.toggle("flux-nodes-bad", isBad);
    this.line.textContent = sentence;
    return this.turn;
  }

  async ask() {
    const turn = this.say(word("keyChecking"));
    try {
      const { credits } = await account();
      if (turn === this.turn) this.say(counted("keyWorks", credits));
    } catch (error) {
      if (turn === this.turn) this.say(doubt(error), error.status === UNKNOWN);
    }
  }
}

function keyEntry() {
  const status = statusLine();
  const check = new KeyCheck();
  const field = keyField(() => store());
  async function store() {
    const key = field.value.trim();
    if (!key) {
      status.textContent = word("keyEmpty");
      return;
    }
    field.value = "";
    check.say("");
    await attempt(status, async () => {
      await storeKey(key);
      check.ask();
    });
  }
  const storing = wordButton(word("keyStore"), store, { class: "flux-nodes-button flux-nodes-main" });
  const forgetting = wordButton(word("keyForget"), () => attempt(status, forgetKey));
  const note = element("span", { class: "flux-nodes-note", text: word("keyNote") });
  const row = element("div", { class: "flux-nodes-row" }, field, storing, forgetting);
  const entry = element("div", { class: "flux-nodes-setting" }, row, status, check.line, note);
  follow(entry, ({ key }) => {
    if (key !== "stored") check.say("");
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
