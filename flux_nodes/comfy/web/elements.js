/** Makes elements of the page. Text is always text: prompts come from anywhere, and none becomes markup. */

/** Make an element; `on` holds its listeners, `text` its text, all else is an attribute. */
export function element(tag, { on = {}, text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
  if (text !== undefined) made.textContent = text;
  made.append(...children.filter(Boolean));
  return made;
}

/** Make an icon of ComfyUI's own set, which readers of the screen pass over. */
export function icon(name) {
  return element("i", { class: `pi pi-${name}`, "aria-hidden": "true" });
}

/** Make a button that shows an icon and says its name to those who ask. */
export function iconButton(name, label, press, attributes = {}) {
  const shown = { type: "button", class: "flux-nodes-icon-button", "aria-label": label, title: label };
  return element("button", { ...shown, on: { click: press }, ...attributes }, icon(name));
}

/** Make a button that shows words. */
export function wordButton(label, press, attributes = {}) {
  const shown = { type: "button", class: "flux-nodes-button", text: label };
  return element("button", { ...shown, on: { click: press }, ...attributes });
}
