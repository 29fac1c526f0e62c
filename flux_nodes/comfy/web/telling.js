/** Says of a generation what people want to know: how it stands, where it came from, what it cost. */

import { counted, languageTag, word } from "./words.js";

const STATES = {
  intent: "stateIntent",
  submitted: "stateSubmitted",
  running: "stateRunning",
  finished: "stateFinished",
  stored: "stateStored",
  failed: "stateFailed",
  refused: "stateRefused",
  unconfirmed: "stateUnconfirmed",
};
const SAYING_MONEY = ["failed", "refused", "unconfirmed"];
const DOORS = { comfyui: "doorComfyui", terminal: "doorTerminal", assistant: "doorAssistant" };
const PRETENDED = "sandbox"; // what the journal calls the service when it is the sandbox
const STEPS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** Whether a generation was made on the sandbox. */
export function isPretended({ service }) {
  return service === PRETENDED;
}

/** Say in words where a generation stands. */
export function standing({ status, percentage, words }) {
  if (status === "running" && percentage != null) return word("statePercent", { percentage });
  return STATES[status] ? word(STATES[status]) : words;
}

/** Say what a generation that came to nothing means for the money; null where its state says it, or none was used. */
export function money(generation) {
  if (generation.status !== "failed" || isPretended(generation) || !generation.credits) return null;
  return counted("sentWith", generation.credits);
}

/** Say what a generation cost; null when that is unknown, nothing, or said by `money`. */
export function cost(generation) {
  const { status, credits } = generation;
  const isSaid = credits == null || SAYING_MONEY.includes(status) || isPretended(generation);
  return isSaid ? null : counted("credits", credits);
}

/** Name the place that a generation was asked for from. */
export function doorName({ door }) {
  return DOORS[door] ? word(DOORS[door]) : door;
}

/** Say how long ago a moment was. */
export function ago(moment) {
  const seconds = Math.min(0, Math.round((new Date(moment) - Date.now()) / 1000));
  const [unit, length] = STEPS.find(([, size]) => -seconds >= size) ?? STEPS.at(-1);
  const format = new Intl.RelativeTimeFormat(languageTag(), { numeric: "auto", style: "narrow" });
  return format.format(Math.trunc(seconds / length), unit);
}

/** Say when a moment was, to the minute and the second. */
export function exactly(moment) {
  return new Date(moment).toLocaleString(languageTag());
}
