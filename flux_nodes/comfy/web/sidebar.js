/** The sidebar's tab: recent generations of every door, in pictures. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { card } from "./card.js";
import { element, icon, iconButton, wordButton } from "./elements.js";
import { beingCollected, collectAll, unattended, wereStopped } from "./following.js";
import { changes, generations, readState, state } from "./server.js";
import { ago } from "./telling.js";
import { counted, word } from "./words.js";

const ID = "flux-nodes";
const PAGE = 50;
const KINDS = { all: "showAll", images: "showImages", unfinished: "showUnfinished", failed: "showFailed" };
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

function keepKey(event) {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
}

class Panel {
  constructor() {
    this.isBehind = false; // whether something has moved while nobody could see it
    this.most = PAGE;
    this.asked = 0;
    this.cards = new Map(); // by id: what is shown, and the facts it tells
    this.lookAgain = later(SETTLING, () => this.isSeen() && this.load());
    this.countAgain = later(SETTLING, () => this.isSeen() && readState().catch(() => undefined));
    this.build();
    this.listen();
  }

  build() {
    const search = later(TYPING, () => this.searchAnew());
    this.search = element("input", {
      type: "search",
      class: "flux-nodes-field",
      placeholder: word("searchShort"),
      title: word("search"),
      "aria-label": word("search"),
      on: { input: search },
    });
    this.kind = element(
      "select",
      {
        class: "flux-nodes-field flux-nodes-kind",
        "aria-label": word("show"),
        // Letters choose in the list here; as ComfyUI's keys they would open other tabs, or change the graph.
        on: { change: () => this.searchAnew(), keydown: keepKey },
      },
      ...Object.entries(KINDS).map(([value, name]) => element("option", { value, text: word(name) })),
    );
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
    const asked = element("div", { class: "flux-nodes-asked" }, field, this.kind);
    return element("header", { class: "flux-nodes-head" }, top, asked, this.notices);
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
    this.sight = new IntersectionObserver(() => this.isBehind && this.isSeen() && this.refresh());
    this.sight.observe(this.element);
  }

  /** Whether the panel can be seen; where not, it is read anew when it can be. */
  isSeen() {
    const isSeen = this.element.checkVisibility();
    this.isBehind ||= !isSeen;
    return isSeen;
  }

  close() {
    changes.removeEventListener("state", this.onState);
    api.removeEventListener("flux-nodes.generation", this.onMove);
    clearInterval(this.clock);
    this.sight.disconnect();
  }

  /** Read everything anew: the list, and how things stand. */
  refresh() {
    this.isBehind = false;
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
      const page = await generations(this.search.value.trim(), this.most, this.kind.value);
      if (turn === this.asked) this.show(page);
    } catch (error) {
      if (turn === this.asked) this.fail(error);
    }
  }

  show({ generations: found, more }) {
    const cards = found.map((generation) => this.cardOf(generation));
    this.cards = new Map(found.map(({ id }) => [id, this.cards.get(id)]));
    // Those that are there already stay where they are: somebody's hand may be on them.
    for (const old of [...this.list.children]) if (!cards.includes(old)) old.remove();
    cards.forEach((fresh, index) => {
      const there = this.list.children[index];
      if (there !== fresh) this.list.insertBefore(fresh, there ?? null);
    });
    this.foot.replaceChildren();
    if (more) this.foot.append(wordButton(word("showMore"), () => this.showMore()));
    if (!found.length) this.sayNothing();
  }

  /** Give the card of a generation: the one that is shown, if it tells the same. */
  cardOf(generation) {
    const facts = JSON.stringify(generation);
    const old = this.cards.get(generation.id);
    if (old?.facts === facts) return old.card;
    const made = card(generation);
    this.cards.set(generation.id, { facts, card: made });
    return made;
  }

  showMore() {
    this.most += PAGE;
    this.load();
  }

  sayNothing() {
    const words = this.search.value.trim();
    const isAll = this.kind.value === "all";
    const nothing = isAll ? word("empty") : word("nothingOfThese");
    const sentence = words ? word("nothingFound", { words }) : nothing;
    const sign = icon(words || !isAll ? "search" : "images");
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
    if (!this.isSeen()) return;
    const old = this.list.querySelector(`[data-id="${CSS.escape(generation.id)}"]`);
    if (old) this.replace(old, generation);
    if (!old || this.kind.value !== "all") this.lookAgain();
    this.countAgain();
  }

  replace(old, generation) {
    const fresh = this.cardOf(generation);
    if (fresh === old) return;
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
    const followed = beingCollected(now.unfinished);
    if (count) notices.push(this.unfinished(count));
    else if (followed) notices.push(this.notice("spinner pi-spin", counted("following", followed)));
    this.notices.replaceChildren(...notices);
  }

  notice(sign, sentence, button) {
    return element("div", { class: "flux-nodes-notice" }, icon(sign), element("p", { text: sentence }), button);
  }

  unfinished(count) {
    const main = { class: "flux-nodes-button flux-nodes-main" };
    const press = () => {
      button.disabled = true;
      collectAll();
    };
    const button = wordButton(word("collect"), press, main);
    const sentence = counted(wereStopped(count) ? "stopped" : "unfinished", count);
    return this.notice("hourglass", sentence, button);
  }
}

let panel = null;

function isAlone(container) {
  return container.childNodes.length === 1 && container.firstChild === panel.element;
}

/** The container is ComfyUI's, one for all tabs like ours: we go when another pack's tab puts something into it. */
const guard = new MutationObserver(([{ target }]) => {
  const isOpen = app.extensionManager.sidebarTab?.activeSidebarTabId === ID;
  if (panel?.element.parentElement === target && !isAlone(target) && !isOpen) panel.element.remove();
});

function render(container) {
  panel ??= new Panel();
  // ComfyUI calls this at each of its own renders.
  if (isAlone(container)) return;
  container.replaceChildren(panel.element);
  guard.disconnect();
  guard.observe(container, { childList: true });
  panel.showState();
  panel.refresh();
}

function destroy() {
  guard.disconnect();
  panel?.close();
  panel = null;
}

/** Give the tab, for `registerSidebarTab`. */
export function sidebarTab() {
  changes.addEventListener("state", ({ detail }) => {
    document.body.classList.toggle("flux-nodes-sandbox-on", detail.sandbox);
  });
  return {
    id: ID,
    icon: "flux-nodes-icon",
    title: word("tabTitle"),
    tooltip: word("tabTooltip"),
    type: "custom",
    render,
    destroy,
  };
}
