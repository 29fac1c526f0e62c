/** One generation as a card of the sidebar. */

import { app } from "../../scripts/app.js";
import { endDrag, openWorkflow, startDrag, useAsImage } from "./canvas.js";
import { element, icon, iconButton } from "./elements.js";
import { thumbnailUrl } from "./server.js";
import { counted, languageTag, word } from "./words.js";

const STATES = {
  intent: "stateIntent",
  submitted: "stateSubmitted",
  running: "stateRunning",
  finished: "stateFinished",
  stored: "stateStored",
  failed: "stateFailed",
  refused: "stateRefused",
  unconfirmed: "stateUnconfirmed",
};
const DOORS = { comfyui: "doorComfyui", terminal: "doorTerminal", assistant: "doorAssistant" };
const DOOR_ICONS = { comfyui: "sitemap", terminal: "code", assistant: "comments" };
const PRETENDED = "sandbox"; // what the journal calls the service when it is the sandbox
const STEPS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** Say in words where a generation stands. */
export function standing({ status, percentage, words }) {
  if (status === "running" && percentage != null) return word("statePercent", { percentage });
  return STATES[status] ? word(STATES[status]) : words;
}

/** Say how long ago a moment was. */
export function ago(moment) {
  const seconds = Math.min(0, Math.round((new Date(moment) - Date.now()) / 1000));
  const [unit, length] = STEPS.find(([, size]) => -seconds >= size) ?? STEPS.at(-1);
  const format = new Intl.RelativeTimeFormat(languageTag(), { numeric: "auto", style: "narrow" });
  return format.format(Math.trunc(seconds / length), unit);
}

function when(moment) {
  return element("time", {
    datetime: moment,
    text: ago(moment),
    title: new Date(moment).toLocaleString(languageTag()),
  });
}

function picture(generation) {
  if (!generation.has_image) {
    const mark = generation.unfinished ? icon("spinner pi-spin") : icon("image");
    return element("div", { class: "flux-nodes-blank", title: generation.message ?? word("noImageYet") }, mark);
  }
  return element("img", {
    class: "flux-nodes-picture",
    src: thumbnailUrl(generation.id),
    alt: generation.prompt || word("noPrompt"),
    loading: "lazy",
    draggable: "false",
  });
}

async function copyId({ id }) {
  const tell = (severity, summary) => app.extensionManager.toast.add({ severity, summary, life: 3000 });
  try {
    await navigator.clipboard.writeText(id);
    tell("success", word("copied", { id }));
  } catch {
    tell("info", word("cannotCopy", { id }));
  }
}

function imageHandle(generation) {
  const drag = (event) => {
    event.stopPropagation();
    startDrag(event, generation, "image");
    const shown = event.target.closest(".flux-nodes-card").querySelector(".flux-nodes-picture");
    event.dataTransfer.setDragImage(shown, 40, 40);
  };
  const button = iconButton("image", word("useAsImage"), () => useAsImage(generation), {
    title: word("useAsImageTooltip"),
    draggable: "true",
  });
  button.addEventListener("dragstart", drag);
  return button;
}

function actions(generation) {
  return element(
    "div",
    { class: "flux-nodes-actions", role: "group", "aria-label": word("actions") },
    iconButton("sitemap", word("openWorkflow"), () => openWorkflow(generation), { title: word("openWorkflowTooltip") }),
    generation.has_image && imageHandle(generation),
    iconButton("copy", word("copyId"), () => copyId(generation)),
  );
}

function badge(generation) {
  if (generation.status === "stored") return null;
  const kind = generation.unfinished ? "flux-nodes-moving" : "flux-nodes-bad";
  const title = generation.message ?? undefined;
  return element("span", { class: `flux-nodes-badge ${kind}`, role: "status", text: standing(generation), title });
}

function bar({ unfinished, percentage }) {
  if (!unfinished) return null;
  const shown = percentage == null ? {} : { style: `--part: ${Math.max(0, Math.min(100, percentage))}%` };
  return element("div", { class: "flux-nodes-bar", "aria-hidden": "true", ...shown });
}

function cost({ service, credits }) {
  if (service === PRETENDED) return element("span", { text: word("sandbox"), title: word("sandboxTooltip") });
  return credits == null ? null : element("span", { text: counted("credits", credits) });
}

function facts(generation) {
  const { door, model, width, height } = generation;
  const doorName = DOORS[door] ? word(DOORS[door]) : door;
  const size = width && height ? `${model} · ${width}×${height}` : model;
  return element(
    "div",
    { class: "flux-nodes-facts" },
    element("div", { class: "flux-nodes-model", text: model, title: size }),
    element(
      "div",
      { class: "flux-nodes-line" },
      element("span", { class: "flux-nodes-door", title: doorName }, icon(DOOR_ICONS[door] ?? "circle"), doorName),
      when(generation.created_at),
      cost(generation),
    ),
  );
}

/** Make the card of a generation. */
export function card(generation) {
  const words = generation.prompt || word("noPrompt");
  const made = element(
    "li",
    { class: "flux-nodes-card", "data-id": generation.id, "data-status": generation.status, draggable: "true" },
    element(
      "div",
      { class: "flux-nodes-frame" },
      picture(generation),
      badge(generation),
      bar(generation),
      actions(generation),
    ),
    element("p", { class: "flux-nodes-prompt", text: words, title: words }),
    facts(generation),
  );
  made.addEventListener("dragstart", (event) => startDrag(event, generation, "workflow"));
  made.addEventListener("dragend", endDrag);
  if (generation.has_image) made.title = word("dragHint");
  return made;
}
