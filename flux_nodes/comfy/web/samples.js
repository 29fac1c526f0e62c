/** Brings the pictures that our templates load to a server that does not have them yet. */

import { api } from "../../scripts/api.js";
import { upload } from "./server.js";

const SAMPLES = ["flux-nodes-meadow.jpg"];

/** The name under which ComfyUI serves this pack, which is its folder's. */
const PACK = new URL(".", import.meta.url).pathname.split("/").filter(Boolean).at(-1);

function nodesOf(graph) {
  const inner = (graph.definitions?.subgraphs ?? []).flatMap((subgraph) => subgraph.nodes ?? []);
  return [...(graph.nodes ?? []), ...inner];
}

async function known() {
  const answer = await api.fetchApi("/object_info/LoadImage");
  const { LoadImage } = await answer.json();
  const [first, options] = LoadImage.input.required.image;
  return Array.isArray(first) ? first : (options?.options ?? []);
}

const brought = new Set();

async function bring(name) {
  const answer = await api.fetchApi(`/workflow_templates/${PACK}/${name}`);
  if (!answer.ok) return;
  await upload(new File([await answer.blob()], name, { type: "image/jpeg" }));
  brought.add(name);
}

/** Upload each sample that a graph with a node of `ours` is about to load and the server lacks. */
export async function bringSamples(graph, ours) {
  const nodes = nodesOf(graph);
  if (!nodes.some(({ type }) => ours.includes(type))) return;
  const loaded = nodes.filter((node) => node.type === "LoadImage").map((node) => node.widgets_values?.[0]);
  const wanted = SAMPLES.filter((name) => loaded.includes(name));
  if (!wanted.length) return;
  try {
    const there = await known();
    await Promise.all(wanted.filter((name) => !there.includes(name)).map(bring));
  } catch (error) {
    console.warn("Flux Nodes: the template's picture cannot be brought.", error);
  }
}

/** Put a sample that was brought just now among a node's choices, before ComfyUI looks there for what is missing. */
export function offerSamples(node) {
  for (const widget of node.widgets ?? []) {
    const values = widget.options?.values;
    const isNew = brought.has(widget.value) && Array.isArray(values) && !values.includes(widget.value);
    if (isNew) values.push(widget.value);
  }
}
