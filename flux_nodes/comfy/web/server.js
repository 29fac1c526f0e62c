/** Our routes in ComfyUI's server. What fails is a `ServerError`, whose message is a sentence for the user. */

import { api } from "../../scripts/api.js";
import { word } from "./words.js";

export class ServerError extends Error {
  /** `status` is that of the server's answer; 0 where none came. */
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Sends `state` events, whose `detail` is the newest state: {version, key, sandbox, unfinished}. */
export const changes = new EventTarget();

let newest = null;

/** Give the state as it was told last; null before the first answer. */
export function state() {
  return newest;
}

async function sentence(answer) {
  const told = await answer.json().catch(() => ({}));
  return told.error ?? `${answer.status} ${answer.statusText}`;
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await api.fetchApi(`/flux-nodes/${path}`, options);
  } catch {
    throw new ServerError(word("unreachable"));
  }
  if (!answer.ok) throw new ServerError(await sentence(answer), answer.status);
  return answer;
}

async function read(path, options) {
  return (await ask(path, options)).json();
}

function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return read(path, { method: "POST", headers, body: JSON.stringify(body) });
}

let revision = 0; // counts the beginning and the end of each change

function tell(answer) {
  newest = answer;
  changes.dispatchEvent(new CustomEvent("state", { detail: newest }));
  return newest;
}

async function change(request) {
  revision++;
  try {
    return tell(await request);
  } finally {
    revision++;
  }
}

/** Ask for the state of the server. */
export async function readState() {
  const asked = revision;
  const answer = await read("state", { cache: "no-store" });
  // An answer that a change has overtaken on the way is out of date: the change's own answer counts.
  return newest && asked !== revision ? newest : tell(answer);
}

/** Hand over the API key, which the server stores and never gives back. */
export function storeKey(key) {
  return change(post("key", { key }));
}

/** Have the stored API key forgotten. */
export function forgetKey() {
  return change(read("key", { method: "DELETE" }));
}

/** Ask the service for the account behind the key: {credits, plan}. Its error is 409 where it does not know the key. */
export function account() {
  return read("account", { cache: "no-store" });
}

/** Switch the sandbox on or off. */
export function switchSandbox(on) {
  return change(post("sandbox", { on }));
}

/** Give {models, nodes, generating, inputs}: the models, our nodes, and those with inputs by model. `signal` ends it. */
export function catalog(signal) {
  return read("catalog", { signal });
}

/** Give the newest stored generations, each as its id and words that tell it. */
export function recent() {
  return read("recent", { cache: "no-store" });
}

/** Give {generations, more}, the newest first; those that have all `words`, of a kind ("all", "failed", …). */
export function generations(words, most, show) {
  return read(`generations?${new URLSearchParams({ words, most, show })}`, { cache: "no-store" });
}

/** Have unfinished generations followed to their images, all or those of `ids`; gives {collecting}. */
export function collect(ids) {
  return post("collect", ids ? { ids } : {});
}

function place(id, part) {
  return `generations/${encodeURIComponent(id)}/${part}`;
}

/** Give the address of a generation's small picture. */
export function thumbnailUrl(id) {
  return api.apiURL(`/flux-nodes/${place(id, "thumbnail")}`);
}

/** Give the whole address of a generation's picture, which opens as its workflow in any ComfyUI. */
export function imageUrl(id) {
  return new URL(api.apiURL(`/flux-nodes/${place(id, "image")}`), location.href).href;
}

/** Where the service's own bytes of a generation's image are, in any format. */
export function originalUrl(id) {
  return new URL(api.apiURL(`/flux-nodes/${place(id, "original")}`), location.href).href;
}

/** Fetch a generation's picture as a file. */
export async function image(id) {
  const answer = await ask(place(id, "image"));
  const [, name] = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "") ?? [];
  return new File([await answer.blob()], name ?? `${id}.png`, { type: "image/png" });
}

/** Fetch a generation's workflow, as ComfyUI saves it. */
export function workflow(id) {
  return read(place(id, "workflow"));
}

/** Put a picture among ComfyUI's inputs and give the name that LoadImage knows it by. */
export async function upload(file) {
  const body = new FormData();
  body.append("image", file);
  body.append("type", "input");
  const answer = await api.fetchApi("/upload/image", { method: "POST", body });
  if (!answer.ok) throw new ServerError(await sentence(answer), answer.status);
  const { name, subfolder } = await answer.json();
  return subfolder ? `${subfolder}/${name}` : name;
}
