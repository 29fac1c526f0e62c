/** One generation as a card of the sidebar. */

import { endDrag, openWorkflow, startDrag, useAsImage } from "./canvas.js";
import { element, icon, iconButton } from "./elements.js";
import { thumbnailUrl } from "./server.js";
import { ago, cost, doorName, exactly, isPretended, money, standing } from "./telling.js";
import { openView } from "./view.js";
import { word } from "./words.js";

const DOOR_ICONS = { comfyui: "sitemap", terminal: "code", assistant: "comments" };

function when(moment) {
  return element("time", { datetime: moment, text: ago(moment), title: exactly(moment) });
}

function picture(generation) {
  if (!generation.has_image) {
    const mark = icon(generation.unfinished ? "spinner pi-spin" : "image");
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
    iconButton("eye", word("view"), () => openView(generation), { "aria-haspopup": "dialog" }),
    iconButton("sitemap", word("openWorkflow"), () => openWorkflow(generation), { title: word("openWorkflowTooltip") }),
    generation.has_image && imageHandle(generation),
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

/** Say in the service's words why there is no picture, and what that means for the money. */
function trouble(generation) {
  if (generation.unfinished || generation.has_image) return null;
  const { message } = generation;
  const paid = money(generation);
  return element(
    "div",
    { class: "flux-nodes-trouble" },
    message && element("p", { class: "flux-nodes-message", text: message, title: message }),
    paid && element("p", { text: paid }),
  );
}

function facts(generation) {
  const { door, model, width, height } = generation;
  const size = width && height ? `${model} · ${width}×${height}` : model;
  const paid = cost(generation);
  const sandbox = { class: "flux-nodes-sandbox", text: word("sandbox"), title: word("sandboxTooltip") };
  return element(
    "div",
    { class: "flux-nodes-facts" },
    element("div", { class: "flux-nodes-model", text: model, title: size }),
    element(
      "div",
      { class: "flux-nodes-line" },
      element("span", { class: "flux-nodes-door" }, icon(DOOR_ICONS[door] ?? "circle"), doorName(generation)),
      when(generation.created_at),
      paid && element("span", { text: paid }),
      isPretended(generation) && element("span", sandbox),
    ),
  );
}

function frame(generation) {
  const parts = [picture(generation), badge(generation), bar(generation), actions(generation)];
  const open = (event) => event.target.closest("button") || openView(generation);
  return element("div", { class: "flux-nodes-frame", on: { click: open } }, ...parts);
}

/** The prompt opens the large view as the picture does. Keys have the button for it. */
function prompt(generation) {
  const words = generation.prompt || word("noPrompt");
  const open = () => openView(generation);
  return element("p", { class: "flux-nodes-prompt", text: words, title: words, on: { click: open } });
}

/** Make the card of a generation. */
export function card(generation) {
  const made = element(
    "li",
    { class: "flux-nodes-card", "data-id": generation.id, "data-status": generation.status, draggable: "true" },
    frame(generation),
    prompt(generation),
    trouble(generation),
    facts(generation),
  );
  made.addEventListener("dragstart", (event) => startDrag(event, generation, "workflow"));
  made.addEventListener("dragend", endDrag);
  if (generation.has_image) made.title = word("dragHint");
  return made;
}
