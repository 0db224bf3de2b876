/** The training: the worker that does it, its buttons, and what is kept of what it tells. */
import workerSource from "bundled:./worker.js";
import { Curves } from "./curves.js";
import { dataset, source } from "./data.js";
import { find, lab, say } from "./lab.js";
import { measures } from "./measures.js";
import { Network } from "./network.js";
import { Random } from "./random.js";
import { endPen } from "./sketch.js";
import { leaveParts, showParts } from "./steps.js";

const DRAWN = 400; // points of x and of z that are drawn
const JUDGED = 1000; // points of f(z) that are measured
const OFTEN = 250; // milliseconds between two measurements
let lastJudged = 0;

export const terms = new Curves(find("terms"), find("terms-legend"), [
  { key: "reconstruction", name: "reconstruction", colour: "x", dash: [] },
  { key: "idempotence", name: "idempotence", colour: "fz", dash: [] },
  {
    key: "tightness",
    name: "tightness, clamped",
    colour: "drift",
    dash: [5, 3],
  },
]);
export const shares = new Curves(
  find("shares"),
  find("shares-legend"),
  [
    { key: "precision", name: "precision", colour: "fz", dash: [] },
    { key: "coverage", name: "coverage", colour: "x", dash: [5, 3] },
  ],
  1,
);

let worker = null;
try {
  worker = new Worker(
    URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" })),
  );
  worker.onmessage = ({ data }) => hear(data);
} catch {
  find("stuck").hidden = false;
}
export const ask = (message) => worker?.postMessage(message);

function hear({ state: told, parts: seen, applied }) {
  if ((told ?? seen ?? applied).generation !== lab.generation) return; // of a training that has been left
  if (told) {
    lab.state = told;
    lab.network.theta.set(told.theta);
    if (!told.finite) {
      pause(); // it has stopped by itself
      say(
        "Numbers have left the range of floats: the training has blown up. Reset it, or press another button.",
      );
    }
    terms.add(told.step, told.terms);
    judge();
  }
  if (seen) lab.parts = { index: 0, seen };
  if (applied && lab.parts) {
    const raw = new Network({ width: lab.settings.width, rows: 256 }); // not averaged: that is what the step has moved
    raw.theta.set(applied.theta);
    const { x, z } = lab.parts.seen;
    lab.parts.seen.after = { fx: raw.apply(x), fz: raw.apply(z) };
  }
  if (seen || applied) showParts();
  lab.dirty = true;
}

/** Start again by what is set. */
export function restart() {
  lab.generation += 1;
  leaveParts();
  lab.network = new Network({ width: lab.settings.width, rows: 512 });
  lab.network.start(new Random(lab.settings.seed, "weights"));
  lab.state = { step: 0, rate: 0, terms: {}, finite: true };
  terms.clear();
  shares.clear();
  lab.judged = { precision: NaN, coverage: NaN };
  redraw();
  ask({ settings: lab.settings, fresh: true, generation: lab.generation });
  if (lab.running) ask({ run: true });
}

/** Go on by what is set. */
export function change() {
  leaveParts();
  ask({ settings: lab.settings });
}

/** Draw anew what is shown of data and source. */
export function redraw() {
  lab.shape = dataset(lab.settings.data, lab.settings.drawing);
  const draw = source(lab.settings.source, lab.settings.shape);
  lab.shown = {
    x: lab.shape.sample(DRAWN, new Random(lab.settings.seed, "shown x")),
    z: draw(DRAWN, new Random(lab.settings.seed, "shown z")),
    judged: draw(JUDGED, new Random(lab.settings.seed, "judged z")),
  };
  lastJudged = 0;
  lab.dirty = true;
}

function judge() {
  const now = performance.now();
  if (lab.running && now - lastJudged < OFTEN) return;
  lastJudged = now;
  lab.judged = measures(lab.shape, lab.network.apply(lab.shown.judged));
  shares.add(lab.state.step, lab.judged);
}

export function play() {
  leaveParts();
  endPen();
  lab.running = true;
  find("play").textContent = "Pause";
  ask({ run: true });
  say("Training.");
}

export function pause() {
  if (!lab.running) return;
  lab.running = false;
  find("play").textContent = "Play";
  ask({ run: false });
  say(`Paused at step ${lab.state.step}.`);
}

find("play").onclick = () => (lab.running ? pause() : play());
find("step").onclick = () => {
  pause();
  leaveParts();
  ask({ step: 1 });
};
find("reset").onclick = () => {
  pause();
  restart();
  say("Reset to step 0.");
};
document.addEventListener("visibilitychange", () => {
  if (lab.running) ask({ run: !document.hidden }); // a hidden page shouldn't keep a machine busy
});
