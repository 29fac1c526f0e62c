/**
 * Keeps room in a node that runs: the prompt stays readable when words and a picture arrive below it, and the words
 * are as high as they are long.
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const WORDS = "$$node-text-preview"; // the widgets that ComfyUI adds below ours
const PICTURE = "$$canvas-image-preview";
const FEW_LINES = 90; // the height of about five
const DRAWN_LINES = 72; // the height of about four in Nodes 2.0, which is less than they give at first
const LINE = 16;
const LETTER = 6.2; // the mean width of one, at the size of the words
const MARGIN = 64; // what stands left and right of the words
const LEAST_WIDTH = 250; // in which a title and a line of words can be read
const FRAME = 40; // what stands above and below them

const kept = new WeakSet(); // nodes in which room is kept
const floors = new WeakSet(); // prompts that have their few lines

function find(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

function linesOf(text, width) {
  const letters = Math.max(20, Math.floor((width - MARGIN) / LETTER));
  // Wide letters take two places.
  const places = (line) => line.length + (line.match(/[\u1100-\uffef]/g)?.length ?? 0);
  return text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(places(line) / letters)), 0);
}

/** Leave the prompt a few lines, if it had them, now that it shares the node with what ComfyUI adds. */
function keepLines(node) {
  const prompt = find(node, "prompt");
  if (!prompt?.options || !prompt.computedHeight || floors.has(prompt)) return;
  const floor = Math.min(prompt.computedHeight, FEW_LINES);
  floors.add(prompt);
  prompt.options.getMinHeight = () => floor;
}

/** Grow the node to what it needs; what it has beyond that is its own. */
function makeRoom(node) {
  const [width, height] = node.size;
  const need = window.LiteGraph.vueNodesMode ? 0 : node.computeSize()[1];
  if (need > height) node.setSize([width, need]);
  node.setDirtyCanvas?.(true, true);
}

/** Let the words be as high as they are long, and without the bar that tells of more to come. */
function tame(node, widget) {
  const { options } = widget;
  const least = options.getMinHeight?.() ?? 0;
  const set = options.setValue;
  let text = "";
  if (widget.props) widget.props = { ...widget.props, nodeId: "none" };
  options.getMinHeight = () => Math.max(least, FRAME + LINE * linesOf(text, node.size[0]));
  options.getMaxHeight = options.getMinHeight;
  options.setValue = (value) => {
    text = String(value);
    set(value);
    makeRoom(node);
  };
}

/** Keep room in a node from now on. */
export function keepRoom(node) {
  if (node.size[0] < LEAST_WIDTH) node.setSize([LEAST_WIDTH, node.size[1]]);
  const add = node.addCustomWidget;
  kept.add(node);
  node.addCustomWidget = function (widget) {
    if (widget.name !== WORDS && widget.name !== PICTURE) return add.call(this, widget);
    keepLines(node);
    if (widget.name === WORDS) tame(node, widget);
    const added = add.call(this, widget);
    makeRoom(node);
    return added;
  };
}

/** Give the node of an id that leads through subgraphs ("7:3"): the same number may stand in several of them. */
function nodeOf(id) {
  const path = String(id).split(":");
  const last = path.pop();
  const graph = path.reduce((outer, step) => outer?.getNodeById(step)?.subgraph, app.rootGraph ?? app.graph);
  return graph?.getNodeById(last);
}

/**
 * Nodes 2.0 share the room out by themselves: their prompts are given the least that they may have. It is not measured:
 * the words may come while the node is being drawn, or when it is squeezed already.
 */
function keepPrompt({ detail }) {
  if (!window.LiteGraph.vueNodesMode) return;
  const node = nodeOf(detail.nodeId ?? detail.node_id);
  if (!node || !kept.has(node) || node.graph !== app.canvas.graph) return;
  const fields = document.querySelectorAll(`[data-node-id="${CSS.escape(node.id)}"] textarea`);
  for (const field of fields) field.style.minHeight = `${DRAWN_LINES}px`;
}

/** An old picture above the words of a new failure would be taken for what failed. */
function takePictureAway({ detail }) {
  const { node_id: id, prompt_id } = detail;
  const node = nodeOf(id);
  if (!node || !kept.has(node)) return;
  api.dispatchCustomEvent("executed", { node: id, display_node: id, prompt_id, output: { images: [] } });
  node.imgs = undefined;
  const index = node.widgets?.findIndex((widget) => widget.name === PICTURE) ?? -1;
  if (index >= 0) {
    node.widgets[index].onRemove?.();
    node.widgets.splice(index, 1);
  }
  node.setDirtyCanvas?.(true, true);
}

/**
 * Show the last words of a prompt that has ended, and the pictures of a node that did not run for it. The frontend is
 * told as if they came from ComfyUI; the server sends them to us alone, and only our nodes are written on: meanwhile
 * another workflow may be open, with another pack's node of the same id.
 */
function showLastWords({ detail: { node: id, prompt_id, text, images } }) {
  const node = nodeOf(id);
  if (!node || !kept.has(node)) return;
  if (images) api.dispatchCustomEvent("executed", { node: id, display_node: id, prompt_id, output: { images } });
  api.dispatchCustomEvent("progress_text", { nodeId: id, text });
}

/** Follow what runs, from now on. */
export function followRoom() {
  api.addEventListener("flux-nodes.words", showLastWords);
  api.addEventListener("progress_text", keepPrompt);
  api.addEventListener("execution_error", takePictureAway);
}
