/** The sidebar's tab: recent generations of every door, in pictures. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { ago, card } from "./card.js";
import { element, icon, iconButton, wordButton } from "./elements.js";
import { noteCollecting, unattended } from "./following.js";
import { changes, collect, generations, readState, state } from "./server.js";
import { counted, word } from "./words.js";

const PAGE = 50;
const TYPING = 250; // milliseconds without a key before the search begins
const SETTLING = 400; // milliseconds in which several events are answered by one look

function later(milliseconds, step) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(step, milliseconds);
  };
}

function openSettings() {
  app.extensionManager.command.execute("Comfy.ShowSettingsDialog");
}

class Panel {
  constructor() {
    this.most = PAGE;
    this.asked = 0;
    this.lookAgain = later(SETTLING, () => this.load());
    this.countAgain = later(SETTLING, () => readState().catch(() => undefined));
    this.build();
    this.listen();
  }

  build() {
    const search = later(TYPING, () => this.searchAnew());
    this.search = element("input", {
      type: "search",
      class: "flux-nodes-field",
      placeholder: word("search"),
      "aria-label": word("search"),
      on: { input: search },
    });
    const sandbox = { class: "flux-nodes-sandbox", text: word("sandbox"), title: word("sandboxTooltip") };
    this.sandbox = element("span", { ...sandbox, hidden: true });
    this.notices = element("div", { class: "flux-nodes-notices", "aria-live": "polite" });
    this.list = element("ul", { class: "flux-nodes-list", role: "list", "aria-label": word("heading") });
    this.foot = element("div", { class: "flux-nodes-foot" });
    const named = { class: "flux-nodes-panel", "aria-label": word("heading") };
    this.element = element("section", named, this.head(), this.body());
  }

  head() {
    const title = element("h2", { class: "flux-nodes-title", text: word("heading") });
    const refresh = iconButton("refresh", word("refresh"), () => this.refresh());
    const settings = iconButton("cog", word("openSettings"), openSettings);
    const top = element("div", { class: "flux-nodes-top" }, title, this.sandbox, refresh, settings);
    const clear = iconButton("times", word("clearSearch"), () => this.clear());
    const field = element("div", { class: "flux-nodes-search" }, icon("search"), this.search, clear);
    return element("header", { class: "flux-nodes-head" }, top, field, this.notices);
  }

  body() {
    return element("div", { class: "flux-nodes-body" }, this.list, this.foot);
  }

  listen() {
    this.onState = () => this.showState();
    this.onMove = ({ detail }) => this.move(detail);
    changes.addEventListener("state", this.onState);
    api.addEventListener("flux-nodes.generation", this.onMove);
    this.clock = setInterval(() => this.tellTimes(), 30_000);
  }

  close() {
    changes.removeEventListener("state", this.onState);
    api.removeEventListener("flux-nodes.generation", this.onMove);
    clearInterval(this.clock);
  }

  /** Read everything anew: the list, and how things stand. */
  refresh() {
    this.load();
    readState().catch(() => undefined); // the list says what is wrong
  }

  clear() {
    this.search.value = "";
    this.search.focus();
    this.searchAnew();
  }

  searchAnew() {
    this.most = PAGE;
    this.load();
  }

  async load() {
    const turn = ++this.asked;
    if (!this.list.children.length) this.say(word("loading"));
    try {
      const page = await generations(this.search.value.trim(), this.most);
      if (turn === this.asked) this.show(page);
    } catch (error) {
      if (turn === this.asked) this.fail(error);
    }
  }

  show({ generations: found, more }) {
    this.list.replaceChildren(...found.map(card));
    this.foot.replaceChildren();
    if (more) this.foot.append(wordButton(word("showMore"), () => this.showMore()));
    if (!found.length) this.sayNothing();
  }

  showMore() {
    this.most += PAGE;
    this.load();
  }

  sayNothing() {
    const words = this.search.value.trim();
    const sentence = words ? word("nothingFound", { words }) : word("empty");
    const sign = icon(words ? "search" : "images");
    this.foot.replaceChildren(element("div", { class: "flux-nodes-empty" }, sign, element("p", { text: sentence })));
  }

  say(sentence) {
    this.foot.replaceChildren(element("p", { class: "flux-nodes-quiet", text: sentence }));
  }

  fail(error) {
    this.list.replaceChildren();
    this.foot.replaceChildren(
      element(
        "div",
        { class: "flux-nodes-empty flux-nodes-bad", role: "alert" },
        icon("exclamation-triangle"),
        element("p", { text: word("failed", { sentence: error.message }) }),
        wordButton(word("tryAgain"), () => this.refresh()),
      ),
    );
  }

  /** Show that a generation has moved: on its card, or by a look at the list if it has none. */
  move(generation) {
    const old = this.list.querySelector(`[data-id="${CSS.escape(generation.id)}"]`);
    if (old) this.replace(old, generation);
    else this.lookAgain();
    this.countAgain();
  }

  replace(old, generation) {
    const fresh = card(generation);
    const focused = [...old.querySelectorAll("button")].indexOf(document.activeElement);
    old.replaceWith(fresh);
    fresh.querySelectorAll("button")[focused]?.focus();
  }

  tellTimes() {
    for (const time of this.list.querySelectorAll("time")) time.textContent = ago(time.dateTime);
  }

  showState() {
    const now = state();
    if (!now) return;
    this.sandbox.hidden = !now.sandbox;
    const notices = [];
    if (now.key === "missing" && !now.sandbox) {
      notices.push(this.notice("key", word("keyMissing"), wordButton(word("openSettings"), openSettings)));
    }
    const count = unattended(now.unfinished);
    if (count) notices.push(this.unfinished(count));
    this.notices.replaceChildren(...notices);
  }

  notice(sign, sentence, button) {
    return element("div", { class: "flux-nodes-notice" }, icon(sign), element("p", { text: sentence }), button);
  }

  unfinished(count) {
    const main = { class: "flux-nodes-button flux-nodes-main" };
    const button = wordButton(word("collect"), () => this.collect(button), main);
    return this.notice("hourglass", counted("unfinished", count), button);
  }

  async collect(button) {
    button.disabled = true;
    const tell = (severity, summary) => app.extensionManager.toast.add({ severity, summary, life: 5000 });
    try {
      const { collecting } = await collect();
      noteCollecting(collecting);
      tell("info", collecting.length ? counted("collecting", collecting.length) : word("nothingToCollect"));
    } catch (error) {
      tell("error", error.message);
    }
    this.countAgain();
  }
}

let panel = null;

function render(container) {
  panel ??= new Panel();
  // ComfyUI calls this at each of its own renders.
  if (panel.element.parentElement === container) return;
  container.replaceChildren(panel.element);
  container.classList.add("flux-nodes-container");
  panel.showState();
  panel.refresh();
}

function destroy() {
  panel?.close();
  panel = null;
}

/** Give the tab, for `registerSidebarTab`. */
export function sidebarTab() {
  changes.addEventListener("state", ({ detail }) => {
    document.body.classList.toggle("flux-nodes-sandbox-on", detail.sandbox);
  });
  return {
    id: "flux-nodes",
    icon: "flux-nodes-icon",
    title: word("tabTitle"),
    tooltip: word("tabTooltip"),
    type: "custom",
    render,
    destroy,
  };
}
