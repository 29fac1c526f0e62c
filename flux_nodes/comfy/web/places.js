/** Finds room on the canvas for a new node. Areas are [left, top, right, bottom], with the title and what is around. */

import { app } from "../../scripts/app.js";

const TITLE = 30;
const GAP = 30;

function areaOf({ pos, size, flags }) {
  const height = flags?.collapsed ? 0 : size[1];
  return [pos[0], pos[1] - TITLE, pos[0] + size[0], pos[1] + height];
}

function around(areas) {
  const [lefts, tops, rights, bottoms] = [0, 1, 2, 3].map((side) => areas.map((area) => area[side]));
  return [Math.min(...lefts), Math.min(...tops), Math.max(...rights), Math.max(...bottoms)];
}

function overlap(one, other) {
  return one[0] < other[2] + GAP && one[2] + GAP > other[0] && one[1] < other[3] + GAP && one[3] + GAP > other[1];
}

function view() {
  const [left, top, width, height] = app.canvas.visible_area;
  return [left, top, left + width, top + height];
}

function isWithin([left, top, right, bottom], frame) {
  return left >= frame[0] && top >= frame[1] && right <= frame[2] && bottom <= frame[3];
}

/** Whether the whole of a node can be seen. */
export function isInView(node) {
  return isWithin(areaOf(node), view());
}

/** The places of a node on each side of an area, the right one first. */
function beside([left, top, right, bottom], [width, height]) {
  const level = top + TITLE;
  return [
    [right + GAP, level],
    [left - GAP - width, level],
    [left, bottom + GAP + TITLE],
    [left, top - GAP - height],
  ];
}

function middleOf([left, top, right, bottom], [width, height]) {
  return [(left + right - width) / 2, (top + bottom - height) / 2];
}

/** Give a place for a node of this size that covers no other: beside what is selected, in view, or beside the graph. */
export function freePlace(size) {
  const nodes = app.canvas.graph.nodes;
  const taken = nodes.map(areaOf);
  if (!taken.length) return middleOf(view(), size);
  const selected = Object.values(app.canvas.selected_nodes ?? {}).map(areaOf);
  const whole = around(taken);
  const places = [
    ...(selected.length ? beside(around(selected), size) : []),
    ...beside(whole, size),
    middleOf(view(), size),
  ];
  const isFree = (pos) => taken.every((area) => !overlap(areaOf({ pos, size }), area));
  const free = places.filter(isFree);
  return free.find((pos) => isWithin(areaOf({ pos, size }), view())) ?? free[0] ?? beside(whole, size)[0];
}
