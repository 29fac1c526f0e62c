/** One generation in large: its picture, its facts, and what can be done with it. Escape closes it. */

import { app } from "../../scripts/app.js";
import { openWorkflow, useAsImage } from "./canvas.js";
import { element, icon, iconButton, wordButton } from "./elements.js";
import { collectGeneration } from "./following.js";
import { imageUrl, originalUrl, thumbnailUrl } from "./server.js";
import { cost, doorName, exactly, isPretended, money, standing } from "./telling.js";
import { word } from "./words.js";

async function copy(text) {
  const tell = (severity, summary) => app.extensionManager.toast.add({ severity, summary, life: 3000 });
  try {
    await navigator.clipboard.writeText(text);
    tell("success", word("copied", { id: text }));
  } catch {
    tell("info", word("cannotCopy", { id: text }));
  }
}

function picture(generation) {
  if (!generation.has_image) {
    const mark = icon(generation.unfinished ? "spinner pi-spin" : "image");
    return element("div", { class: "flux-nodes-blank" }, mark);
  }
  const alt = generation.prompt || word("noPrompt");
  const made = element("img", { class: "flux-nodes-large", src: imageUrl(generation.id), alt });
  // The small one is there at once, and blurred under the whole one until that has come.
  made.style.backgroundImage = `url("${thumbnailUrl(generation.id)}")`;
  return made;
}

function fact(name, text) {
  return text ? [element("dt", { text: word(name) }), element("dd", { text: String(text) })] : [];
}

function facts(generation) {
  const { id, model, width, height, seed, created_at: moment } = generation;
  const paid = [cost(generation), isPretended(generation) && word("sandbox")].filter(Boolean).join(" · ");
  return element(
    "dl",
    { class: "flux-nodes-table" },
    ...fact("factModel", model),
    ...fact("factSize", width && height && `${width}×${height}`),
    ...fact("factSeed", seed == null ? null : String(seed)),
    ...fact("factState", generation.status === "stored" ? null : standing(generation)),
    ...fact("factCost", paid),
    ...fact("factFrom", doorName(generation)),
    ...fact("factWhen", exactly(moment)),
    ...fact("factId", id),
  );
}

function trouble(generation) {
  const said = generation.unfinished ? [] : [generation.message, money(generation)];
  const sentences = said.filter(Boolean).map((text) => element("p", { text }));
  return sentences.length > 0 && element("div", { class: "flux-nodes-trouble" }, ...sentences);
}

function download(href, text) {
  return element("a", { class: "flux-nodes-button", href, download: "", text });
}

function actions(generation, close) {
  const main = { class: "flux-nodes-button flux-nodes-main", autofocus: true };
  const then = (step) => () => {
    close();
    step(generation);
  };
  const { id, has_image: hasImage, unfinished, prompt } = generation;
  return element(
    "div",
    { class: "flux-nodes-doings", role: "group", "aria-label": word("actions") },
    wordButton(word("openWorkflow"), then(openWorkflow), { ...main, title: word("openWorkflowTooltip") }),
    hasImage && wordButton(word("useAsImage"), then(useAsImage)),
    hasImage && download(imageUrl(id), word("download")),
    hasImage && download(originalUrl(id), word("downloadOriginal")),
    unfinished && wordButton(word("collect"), then(collectGeneration)),
    prompt && wordButton(word("copyPrompt"), () => copy(prompt)),
    wordButton(word("copyId"), () => copy(id)),
  );
}

/** Show a generation in large. */
export function openView(generation) {
  const before = document.activeElement;
  const close = () => dialog.close();
  const words = generation.prompt || word("noPrompt");
  const closing = iconButton("times", word("close"), close, { class: "flux-nodes-icon-button flux-nodes-close" });
  const text = element("p", { class: "flux-nodes-words", text: words });
  const parts = [text, trouble(generation), facts(generation), actions(generation, close)];
  const side = element("div", { class: "flux-nodes-side" }, ...parts);
  const named = { class: "flux-nodes-view", "aria-label": words.slice(0, 100) };
  const dialog = element("dialog", named, picture(generation), side, closing);
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  // ComfyUI's own keys would act on the graph behind it.
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.();
  });
  document.body.append(dialog);
  dialog.showModal();
}
