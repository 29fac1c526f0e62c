/** Knows which unfinished generations this ComfyUI follows already, so that nobody is asked to collect them. */

import { api } from "../../scripts/api.js";

const ENDINGS = ["execution_success", "execution_error", "execution_interrupted"];

const collected = new Set();
const running = new Set();
let isRunning = false;

function noteMove({ detail: { id, unfinished } }) {
  if (unfinished && isRunning) running.add(id);
  if (unfinished) return;
  collected.delete(id);
  running.delete(id);
}

function begin() {
  isRunning = true;
}

function end() {
  isRunning = false;
  running.clear();
}

/** Listen to what runs here, from now on. */
export function followRuns() {
  api.addEventListener("flux-nodes.generation", noteMove);
  api.addEventListener("execution_start", begin);
  for (const ending of ENDINGS) api.addEventListener(ending, end);
  // The server may be another process now, which follows nothing yet.
  api.addEventListener("reconnected", () => {
    end();
    collected.clear();
  });
}

/** Note generations that are being collected. */
export function noteCollecting(ids) {
  for (const id of ids) collected.add(id);
}

/** Give how many of `unfinished` generations nobody follows here. */
export function unattended(unfinished) {
  return Math.max(0, unfinished - new Set([...collected, ...running]).size);
}
