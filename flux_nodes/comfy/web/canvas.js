/** What a generation becomes on the canvas: its whole workflow, or a LoadImage node that holds its picture. */

import { app } from "../../scripts/app.js";
import { freePlace, isInView } from "./places.js";
import { image, imageUrl, upload, workflow } from "./server.js";
import { word } from "./words.js";

const LOADED = 326;

let dragged = null;

function complain(key, error) {
  const summary = word(key, { sentence: error.message });
  app.extensionManager.toast.add({ severity: "error", summary, life: 10000 });
}

function nameOf(generation) {
  const words = generation.prompt
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim()
    .split(" ")
    .slice(0, 5)
    .join(" ");
  return `${words} ${generation.id}`.trim();
}

/** ComfyUI resets the tab whose name it is given: a name that no open or saved workflow has leaves them all alone. */
function unused(name) {
  const isTaken = (candidate) => app.extensionManager.workflow.getWorkflowByPath(`workflows/${candidate}.json`);
  for (let count = 1; ; count++) {
    const candidate = count === 1 ? name : `${name} (${count})`;
    if (!isTaken(candidate)) return candidate;
  }
}

/** Open the graph that made a generation, in a tab of its own. */
export async function openWorkflow(generation) {
  try {
    const drawing = await workflow(generation.id);
    await app.loadGraphData(drawing, true, true, unused(nameOf(generation)));
  } catch (error) {
    complain("workflowFailed", error);
  }
}

function pictureWidget(node) {
  const inputs = node.constructor.nodeData?.input?.required ?? {};
  const takesUploads = ([, specification]) => specification?.[1]?.image_upload;
  const name = Object.entries(inputs).find(takesUploads)?.[0];
  return name && node.widgets?.find((widget) => widget.name === name);
}

function show(node, name) {
  const widget = pictureWidget(node);
  const values = widget.options.values;
  if (Array.isArray(values) && !values.includes(name)) values.push(name);
  widget.value = name;
  widget.callback?.(name);
  node.setDirtyCanvas?.(true, true);
}

function addLoader(position) {
  const node = window.LiteGraph.createNode("LoadImage");
  node.size[1] = Math.max(node.size[1], LOADED); // as high as it is with its picture
  node.pos = position ? [position[0] - node.size[0] / 2, position[1]] : freePlace(node.size);
  app.canvas.graph.add(node);
  app.canvas.selectNode?.(node);
  if (!position && !isInView(node)) app.canvas.centerOnNode(node);
  return node;
}

function recorded(change) {
  app.canvas.emitBeforeChange?.();
  try {
    change();
  } finally {
    app.canvas.emitAfterChange?.();
  }
}

/** Put a generation's picture on the canvas: into `node`, or as a new node at `position` or where there is room. */
export async function useAsImage(generation, { node, position } = {}) {
  try {
    const name = await upload(await image(generation.id));
    recorded(() => show(node ?? addLoader(position), name));
  } catch (error) {
    complain("imageFailed", error);
  }
}

/** Begin to drag a generation, as its "workflow" or as an "image". */
export function startDrag(event, generation, as) {
  dragged = { generation, as };
  const { dataTransfer } = event;
  dataTransfer.effectAllowed = "all";
  dataTransfer.setData("text/plain", generation.id);
  if (!generation.has_image) return;
  // For other windows: a ComfyUI opens the address, a desktop takes the file.
  const url = imageUrl(generation.id);
  dataTransfer.setData("text/uri-list", url);
  dataTransfer.setData("DownloadURL", `image/png:${generation.id}.png:${url}`);
}

/** End a drag, wherever it ended. */
export function endDrag() {
  dragged = null;
}

function isOverCanvas(event) {
  const { left, right, top, bottom } = app.canvas.canvas.getBoundingClientRect();
  const within = event.clientX >= left && event.clientX < right && event.clientY >= top && event.clientY < bottom;
  return within && !event.target.closest?.(".flux-nodes-panel, .side-tool-bar-container, [role='dialog']");
}

function placeOf(event) {
  app.canvas.adjustMouseEvent(event);
  return [event.canvasX, event.canvasY];
}

function over(event) {
  if (!dragged || !isOverCanvas(event)) return;
  event.preventDefault();
  event.stopPropagation();
  event.dataTransfer.dropEffect = "copy";
}

function drop(event) {
  if (!dragged || !isOverCanvas(event)) return;
  event.preventDefault();
  event.stopPropagation();
  const { generation, as } = dragged;
  dragged = null;
  const position = placeOf(event);
  const node = app.canvas.graph.getNodeOnPos(...position);
  if (generation.has_image && node && pictureWidget(node)) useAsImage(generation, { node });
  else if (generation.has_image && (as === "image" || event.shiftKey)) useAsImage(generation, { position });
  else openWorkflow(generation);
}

/** Take what is dragged out of our sidebar when it is dropped on the canvas, before ComfyUI looks at it. */
export function acceptDrops() {
  document.addEventListener("dragover", over, true);
  document.addEventListener("drop", drop, true);
}
