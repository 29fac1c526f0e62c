/** The extension: says to ComfyUI's frontend which of its moments our modules wait for. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { acceptDrops } from "./canvas.js";
import { followRuns } from "./following.js";
import { followRecent, keepRecent, ownTheList, readChoices } from "./recent.js";
import { followRoom, keepRoom } from "./room.js";
import { bringSamples, offerSamples } from "./samples.js";
import { catalog, readState } from "./server.js";
import { settings } from "./settings.js";
import { sidebarTab } from "./sidebar.js";
import { followModel } from "./widgets.js";
import { loadWords } from "./words.js";

const LONGEST = 10_000; // milliseconds that ComfyUI's page waits for what has to be known before nodes are made

let known;

function wearStyle() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./style.css", import.meta.url).href;
  document.head.append(link);
}

function showNotice({ detail }) {
  app.extensionManager.toast.add({
    severity: detail.severity,
    summary: detail.summary,
    detail: detail.detail,
    life: detail.severity === "error" ? undefined : 12000,
  });
  readState().catch(() => undefined); // what is told may be unfinished from now on
}

app.registerExtension({
  name: "FluxNodes",
  settings: settings(),

  async init() {
    wearStyle();
    api.addEventListener("flux-nodes.notice", showNotice);
    const bound = AbortSignal.timeout(LONGEST);
    [known] = await Promise.all([catalog(bound).catch(() => undefined), loadWords(bound)]);
  },

  beforeRegisterNodeDef(_type, definition) {
    ownTheList(definition);
  },

  nodeCreated(node) {
    if (known?.generating.includes(node.comfyClass)) followModel(node, known);
    // By the server's list: ComfyUI and other packs have nodes whose names begin like ours.
    if (known?.nodes.includes(node.comfyClass)) keepRoom(node);
    keepRecent(node);
  },

  loadedGraphNode(node) {
    offerSamples(node);
  },

  refreshComboInNodes() {
    readChoices(); // not awaited: ComfyUI does not show a page, or end its refresh, before these have answered
  },

  async beforeConfigureGraph(graph) {
    await bringSamples(graph, known?.nodes ?? []);
  },

  setup() {
    app.extensionManager.registerSidebarTab(sidebarTab());
    acceptDrops();
    followRecent();
    followRuns();
    followRoom();
    readState().catch(() => undefined);
  },
});
