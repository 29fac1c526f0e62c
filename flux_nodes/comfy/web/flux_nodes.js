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
    [known] = await Promise.all([catalog().catch(() => undefined), loadWords()]);
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

  async refreshComboInNodes() {
    await readChoices();
  },

  async beforeConfigureGraph(graph) {
    await bringSamples(graph);
  },

  async setup() {
    app.extensionManager.registerSidebarTab(sidebarTab());
    acceptDrops();
    followRecent();
    followRuns();
    followRoom();
    await readState().catch(() => undefined);
  },
});
