/**
 * Keeps the list of recent generations in the dropdowns that offer it.
 *
 * ComfyUI has widgets that read their choices from an address, but those replace the value of a saved workflow by the
 * first choice, and add two widgets of their own. So we read the choices, and leave the value alone.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { recent } from "./server.js";

const ROUTE = "/flux-nodes/recent";

const dropdowns = new Map();
const choices = [];
let reading = null;

function inputsOf(definition) {
  const { required = {}, optional = {} } = definition.input ?? {};
  return Object.entries({ ...required, ...optional });
}

/** Take an input that would read its choices from our address away from ComfyUI, before it makes a widget of it. */
export function ownTheList(definition) {
  for (const [name, specification] of inputsOf(definition)) {
    const options = specification?.[1];
    if (options?.remote?.route !== ROUTE) continue;
    delete options.remote;
    dropdowns.set(definition.name, name);
  }
}

/** Read the choices anew whenever there is a picture more. */
export function followRecent() {
  api.addEventListener("flux-nodes.generation", ({ detail }) => detail.has_image && dropdowns.size && readChoices());
}

/** Read the choices anew; together those who ask at the same time. */
export function readChoices() {
  reading ??= recent()
    .then((newest) => choices.splice(0, choices.length, ...newest))
    .catch((error) => console.warn("Flux Nodes: the recent generations cannot be read.", error))
    .finally(() => {
      reading = null;
    });
  return reading;
}

function choose(node, widget, choice) {
  widget.value = choice;
  widget.callback?.(choice);
  node.setDirtyCanvas?.(true, true);
}

/** Give a new node's dropdown its choices, if it has one. */
export function keepRecent(node) {
  if (!dropdowns.has(node.comfyClass)) return;
  const widget = node.widgets?.find((each) => each?.name === dropdowns.get(node.comfyClass));
  if (!widget) return;
  // One array for all, filled in place: a renderer that took hold of it once sees the newer choices. It stays when
  // ComfyUI, asked for a refresh, puts the empty list of the definition in its place.
  Object.defineProperty(widget.options, "values", { enumerable: true, get: () => choices, set: () => {} });
  const isNew = !app.configuringGraph;
  readChoices().then(() => isNew && !widget.value && choices.length && choose(node, widget, choices[0]));
}
