/** What the parts of the page share: what is set, where the training is, and what is looked at. */
import { fromHash } from "./state.js";

export const lab = {
  settings: fromHash(location.hash),
  generation: 0, // counts trainings, so that news of one that has been left is known as such
  running: false,
  state: null, // what the worker told last
  network: null, // f as it is drawn: the averaged weights
  shape: null, // the data set
  shown: null, // x and z that are drawn, z that is judged
  judged: null, // precision and coverage
  place: null, // where the orbit begins
  parts: null, // a step being gone through: {index, seen}
  dirty: true, // whether there is something new to draw
  told: 0, // when the live region last said something
};

export const find = (id) => document.getElementById(id);

/** A sentence for everyone, read out by screen readers. */
export function say(sentence) {
  find("status").textContent = sentence;
  lab.told = performance.now();
}
