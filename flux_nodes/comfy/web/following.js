/** Collects what is unfinished, and knows what this ComfyUI follows already, so that nobody is asked to collect that. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { collect, readState } from "./server.js";
import { counted, word } from "./words.js";

const ENDINGS = ["execution_success", "execution_error", "execution_interrupted"];

const collected = new Set();
const stopped = new Set(); // collected, and given up by the server
const running = new Set();
let isRunning = false;

function noteMove({ detail: { id, unfinished } }) {
  if (unfinished && isRunning) running.add(id);
  if (unfinished) return;
  collected.delete(id);
  stopped.delete(id);
  running.delete(id);
}

function begin() {
  isRunning = true;
}

function end() {
  isRunning = false;
  running.clear();
}

function stop() {
  for (const id of collected) stopped.add(id);
  collected.clear();
}

function giveUp() {
  end();
  collected.clear();
  stopped.clear();
}

/** Listen to what runs here, from now on. */
export function followRuns() {
  api.addEventListener("flux-nodes.generation", noteMove);
  api.addEventListener("execution_start", begin);
  for (const ending of ENDINGS) api.addEventListener(ending, end);
  // The server may be another process now, which follows nothing yet.
  api.addEventListener("reconnected", giveUp);
  // It warns when it has stopped to look for some: they may be collected anew.
  api.addEventListener("flux-nodes.notice", ({ detail }) => detail.severity === "warn" && stop());
}

/** Have unfinished generations collected, all or those of `ids`, and say what comes of it. */
export async function collectAll(ids) {
  const tell = (severity, summary, detail) => app.extensionManager.toast.add({ severity, summary, detail, life: 8000 });
  try {
    const { collecting } = await collect(ids);
    const known = collecting.length > 0 && collecting.every((id) => collected.has(id));
    for (const id of collecting) {
      collected.add(id);
      stopped.delete(id);
    }
    if (known) tell("info", word("stillRunning"), counted("following", collecting.length));
    else if (collecting.length) tell("info", counted("collecting", collecting.length), word("goesOn"));
    else tell("info", word("nothingToCollect"));
  } catch (error) {
    tell("error", error.message);
  }
  await readState().catch(() => undefined);
}

/** Have one generation collected. */
export function collectGeneration({ id }) {
  return collectAll([id]);
}

/** How many of `unfinished` generations are being collected here. */
export function beingCollected(unfinished) {
  return Math.min(unfinished, collected.size);
}

/** Whether the server has given up all of `count` generations that nobody follows here. */
export function wereStopped(count) {
  return stopped.size >= count;
}

/** Give how many of `unfinished` generations nobody follows here. */
export function unattended(unfinished) {
  return Math.max(0, unfinished - new Set([...collected, ...running]).size);
}
