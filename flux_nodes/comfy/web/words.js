/**
 * What the extension says: English here, other languages from `locales/<language>/main.json`, key `fluxNodes`.
 *
 * `{name}` in a text is a place for a value. The names and tooltips of settings are ComfyUI's to look up, in
 * `settings.json`: `FluxNodes_Key`, `FluxNodes_Sandbox`; their headings in `main.json`, key `settingsCategories`.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

/** Every text that can be translated, by its key. */
export const ENGLISH = Object.freeze({
  tabTitle: "FLUX",
  tabTooltip: "FLUX: recent generations",
  heading: "FLUX generations",
  sandbox: "Sandbox",
  sandboxTooltip:
    "The sandbox answers instead of the service: pictures are pretended and nothing is paid. Switch it in Settings → Flux Nodes.",
  keyMissing: "No API key is set. Set one in Settings → Flux Nodes, or switch the sandbox on there.",
  openSettings: "Open settings",
  refresh: "Refresh",
  search: "Search prompts, models, places, ids",
  searchShort: "Search",
  clearSearch: "Clear the search",
  show: "Show",
  showAll: "All",
  showImages: "With picture",
  showUnfinished: "Unfinished",
  showFailed: "Failed",
  nothingOfThese: "There are none of these.",
  loading: "Loading…",
  empty: "Nothing here yet. Images that you generate in ComfyUI, at the terminal or with an assistant appear here.",
  nothingFound: "No generation has these words: {words}",
  failed: "The list cannot be read. {sentence}",
  unreachable: "The server does not answer. Is ComfyUI running?",
  tryAgain: "Try again",
  showMore: "Show more",
  unfinishedOne: "1 generation is unfinished. Collecting it costs nothing.",
  unfinishedMany: "{count} generations are unfinished. Collecting them costs nothing.",
  collect: "Collect",
  collectingOne: "Collecting 1 generation",
  collectingMany: "Collecting {count} generations",
  goesOn: "Free. Those that are still running at the service go on being looked for.",
  stillRunning: "Still running at the service",
  followingOne: "1 generation is still running at the service. ComfyUI goes on looking for it, free.",
  followingMany: "{count} generations are still running at the service. ComfyUI goes on looking for them, free.",
  stoppedOne: "ComfyUI has stopped looking for 1 unfinished generation. Collect looks again, free.",
  stoppedMany: "ComfyUI has stopped looking for {count} unfinished generations. Collect looks again, free.",
  nothingToCollect: "Nothing is left to collect.",
  doorComfyui: "ComfyUI",
  doorTerminal: "terminal",
  doorAssistant: "assistant",
  stateIntent: "being sent",
  stateSubmitted: "waiting",
  stateRunning: "working",
  statePercent: "{percentage} %",
  stateFinished: "fetching",
  stateStored: "stored",
  stateFailed: "failed",
  stateRefused: "not accepted · nothing paid",
  stateUnconfirmed: "unconfirmed: it may have been charged",
  sentWithOne: "1 credit was sent with it; whether the service gives it back is unknown.",
  sentWithMany: "{count} credits were sent with it; whether the service gives them back is unknown.",
  creditsOne: "1 credit",
  creditsMany: "{count} credits",
  noPrompt: "(no prompt)",
  actions: "Actions for this generation",
  view: "View large",
  close: "Close",
  download: "Download",
  downloadOriginal: "Download original",
  copyPrompt: "Copy prompt",
  factModel: "Model",
  factSize: "Size",
  factSeed: "Seed",
  factState: "State",
  factCost: "Cost",
  factFrom: "Made from",
  factWhen: "When",
  factId: "Id",
  openWorkflow: "Open workflow",
  openWorkflowTooltip: "Opens the graph that made it in a new tab",
  useAsImage: "Use as image",
  useAsImageTooltip: "Adds the picture to the canvas as a Load Image node; drag this handle to choose the place",
  copyId: "Copy id",
  copied: "Copied: {id}",
  cannotCopy: "The browser did not allow copying: {id}",
  dragHint: "Click to view it large. Drag onto the canvas to open its workflow; with Shift held, as an image",
  noImageYet: "There is no image yet",
  imageFailed: "The picture cannot be used. {sentence}",
  workflowFailed: "The workflow cannot be opened. {sentence}",
  keyLabel: "APIFRAME API key",
  keyPlaceholder: "Paste your key",
  keyStore: "Store",
  keyForget: "Forget",
  keyStored: "A key is stored on the server, outside of every workflow.",
  keyFromEnvironment: "The key comes from the environment variable APIFRAME_API_KEY.",
  keyIsMissing: "No key is set.",
  keyEmpty: "Type or paste a key first.",
  keyChecking: "The service is asked whether it knows the key…",
  keyWorksOne: "The key works: 1 credit is left.",
  keyWorksMany: "The key works: {count} credits are left.",
  keyUnknown: "Stored, but the service does not know this key.",
  keyUnanswered: "Stored; it could not be checked: the service does not answer.",
  keyUnchecked: "Stored; it could not be checked. {sentence}",
  keyNote:
    "Sent once to this ComfyUI server. It is never shown again, and never in a workflow, an image or ComfyUI's own settings.",
  sandboxOn: "On: everything is answered by the sandbox, free and without a key.",
  sandboxOff: "Off: generations go to the service and cost credits.",
});

let foreign = {};

/** Read the texts of the language that ComfyUI is set to; where that has none, or `signal` ends it, English stays. */
export async function loadWords(signal) {
  try {
    const answer = await api.fetchApi("/i18n", { signal });
    const languages = answer.ok ? await answer.json() : {};
    const language = app.extensionManager?.setting.get("Comfy.Locale") ?? "en";
    foreign = languages[language]?.fluxNodes ?? {};
  } catch (error) {
    console.warn("Flux Nodes: no translations; English it is.", error);
  }
}

/** Give a text in the user's language, its places filled from `values`. */
export function word(key, values = {}) {
  const text = foreign[key] ?? ENGLISH[key];
  return text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

/** Give the text for one or for many, whose keys end so; `count` fills its place. */
export function counted(key, count) {
  return word(`${key}${count === 1 ? "One" : "Many"}`, { count });
}

/** Give the language tag for dates and numbers. */
export function languageTag() {
  return app.extensionManager?.setting.get("Comfy.Locale") || "en";
}
