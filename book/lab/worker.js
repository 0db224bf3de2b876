/**
 * Trains beside the page, so that drawing never waits.  Messages in: {settings, fresh} (fresh: start again), {run: true or
 * false}, {step: n}, {look: true} and {apply: true} for one step in its parts.  Messages out: {state} of f, {parts}.
 */
import { Trainer } from "./trainer.js";

const SLICE = 8; // milliseconds of training between two looks at the mail
const EVERY = 25; // milliseconds between two pictures

let trainer = null;
let running = false;
let sums = null;
let shown = 0;
let began = 0; // when, and at which step, the rate was last taken
let from = 0;
let rate = 0;
let generation = 0;

const empty = () => ({
  reconstruction: 0,
  idempotence: 0,
  tightness: 0,
  count: 0,
});

function step() {
  const { means } = trainer.step();
  for (const term in means) sums[term] += means[term];
  sums.count += 1;
}

function tell() {
  const theta = Float32Array.from(trainer.average);
  const terms = {};
  for (const term of ["reconstruction", "idempotence", "tightness"])
    terms[term] = sums.count ? sums[term] / sums.count : null;
  const finite = theta.every(Number.isFinite);
  if (!finite) running = false;
  postMessage(
    {
      state: {
        generation,
        step: trainer.steps,
        theta,
        terms,
        rate,
        finite,
      },
    },
    [theta.buffer],
  );
  sums = empty();
  shown = performance.now();
}

const channel = new MessageChannel(); // timers wait at least 4 ms
channel.port1.onmessage = slice;
const later = () => channel.port2.postMessage(null);

function slice() {
  if (!running) return;
  const start = performance.now();
  do step();
  while (performance.now() - start < SLICE);
  const now = performance.now();
  if (now - began > 500) {
    rate = (1000 * (trainer.steps - from)) / (now - began);
    [began, from] = [now, trainer.steps];
  }
  if (now - shown > EVERY) tell();
  if (running) later();
}

onmessage = ({ data }) => {
  if (data.settings) {
    if (data.fresh) {
      generation = data.generation;
      trainer = new Trainer(data.settings);
      sums = empty();
      tell();
    } else trainer.change(data.settings);
  }
  if ("run" in data && data.run !== running) {
    running = data.run;
    [began, from, rate] = [performance.now(), trainer.steps, 0];
    if (running) later();
    else tell();
  }
  if (data.step) {
    for (let i = 0; i < data.step; i++) step();
    tell();
  }
  if (data.look) {
    const batch = trainer.draw();
    const { fx, fz, ffz, forces } = trainer.look(batch);
    const before = trainer.network.theta.slice();
    postMessage({
      parts: { generation, ...batch, fx, fz, ffz, forces, theta: before },
    });
  }
  if (data.apply) {
    trainer.apply();
    tell();
    postMessage({
      applied: { generation, theta: trainer.network.theta.slice() },
    });
  }
};
