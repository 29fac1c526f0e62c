/**
 * Hides the widgets of parameters that the chosen model does not take. Their values stay, and are saved at their place.
 *
 * Which nodes, inputs and models there are is the server's to say (`catalog`).
 */

import { app } from "../../scripts/app.js";

const ROW_GAP = 4; // what a canvas adds to each widget's own height
const FAR_AWAY = -100_000;

/** What we have hidden; a frontend may call more widgets so, the linked ones for example. */
const hidden = new WeakSet();

function slotOf(node, name) {
  return node.inputs?.find((input) => (input.widget?.name ?? input.name) === name);
}

function isLinked(node, name) {
  return slotOf(node, name)?.link != null;
}

function isUntaken(node, name, catalog) {
  const model = node.widgets.find((widget) => widget.name === "model");
  const takes = catalog.models[model?.value]?.takes;
  // A model that comes along a link is not known here, and neither is one that the server does not name.
  if (!takes || isLinked(node, "model")) return false;
  return catalog.inputs.includes(name) && !takes.includes(name) && !isLinked(node, name);
}

/** On older canvases a hidden widget still takes its row, and its slot catches links dropped on the next one. */
function giveUpRow(widget, isHidden) {
  if (widget.visibility) return;
  if (isHidden) {
    widget.computeSize = () => [0, -ROW_GAP];
    Object.defineProperty(widget, "y", { configurable: true, enumerable: true, get: () => FAR_AWAY, set: () => {} });
  } else {
    delete widget.computeSize;
    Object.defineProperty(widget, "y", { configurable: true, enumerable: true, writable: true, value: 0 });
  }
}

function setHidden(widget, isHidden) {
  if (isHidden) hidden.add(widget);
  else hidden.delete(widget);
  widget.hidden = isHidden;
  // The canvas looks at the one, older Vue renderers at the other; for newer ones they are the same.
  if (widget.options) widget.options.hidden = isHidden;
  giveUpRow(widget, isHidden);
}

/** Show and hide the widgets as the model wants it; whether anything has changed. */
function sort(node, catalog) {
  const moved = node.widgets.filter((widget) => hidden.has(widget) !== isUntaken(node, widget.name, catalog));
  for (const widget of moved) setHidden(widget, !hidden.has(widget));
  return moved.length > 0;
}

/** Make older Vue renderers, which copy a node's widgets once, look again. */
function showAgain(node) {
  const isCopied = Object.getOwnPropertyDescriptor(node, "widgets")?.set !== undefined;
  if (!window.LiteGraph.vueNodesMode || !isCopied || node.widgets[0].visibility || app.configuringGraph) return;
  const callbacks = node.widgets.map((widget) => widget.callback);
  node.graph?.onNodeAdded?.(node);
  // They wrap the callbacks at each look, and would go on doing so for ever.
  node.widgets.forEach((widget, index) => {
    widget.callback = callbacks[index];
  });
}

/** Sort the widgets, and give the node the height that they need and what it had beyond that. */
function fit(node, catalog) {
  const [width, height] = node.size;
  const spare = Math.max(0, height - node.computeSize()[1]);
  if (!sort(node, catalog)) return;
  node.setSize([width, node.computeSize()[1] + spare]);
  showAgain(node);
  node.setDirtyCanvas?.(true, true);
}

/** Sort the widgets of a node that was read from a file, whose height is the one that was saved. */
function fitSaved(node, catalog) {
  const [width, height] = node.size;
  if (!sort(node, catalog)) return;
  node.setSize([width, Math.max(height, node.computeSize()[1])]);
  showAgain(node);
}

function after(object, method, then) {
  const before = object[method];
  object[method] = function (...given) {
    const result = before?.apply(this, given);
    then();
    return result;
  };
}

/** Keep the widgets of a node with its model, from now on. */
export function followModel(node, catalog) {
  const model = node.widgets?.find((widget) => widget.name === "model");
  if (!model) return;
  after(model, "callback", () => fit(node, catalog));
  after(node, "onConnectionsChange", () => app.configuringGraph || fit(node, catalog));
  after(node, "onConfigure", () => fitSaved(node, catalog));
  fit(node, catalog);
}
