/** What is drawn of a training, frame by frame, and told in words. */
import { grid } from "./draw.js";
import { find, lab, say } from "./lab.js";
import { PARTS } from "./parts.js";
import { pen, picture } from "./sketch.js";
import { shares, terms } from "./training.js";

const COARSE = grid(19); // where the field's arrows stand
const FINE = grid(48); // where the drift is mapped
const OFTEN = 125; // milliseconds between two maps of the drift
const TOLD = 6000; // ... between two sentences of the live region
const ORBIT = 8; // applications of f

export const still = matchMedia("(prefers-reduced-motion: reduce)");
let heat = null; // the drift on FINE
const last = { heat: 0, drawn: 0, counted: 0, frames: 0, curves: 0 };
/** Frames a second, as last counted. */
export let frames = 0;

export function frame(now) {
  requestAnimationFrame(frame);
  const pace = still.matches ? 500 : 0; // with reduced motion, two pictures a second
  if (!lab.dirty || (lab.running && now - last.drawn < pace)) return;
  lab.dirty = false;
  last.drawn = now;
  paint(now);
  last.frames += 1;
  if (now - last.counted > 500) {
    frames = (1000 * last.frames) / (now - last.counted);
    Object.assign(last, { frames: 0, counted: now });
  }
}

function paint(now) {
  picture.begin();
  const show = (layer) => lab.settings.show.includes(layer);
  if (pen.on) {
    if (!pen.strokes.length) picture.strokes(pen.given, "hair");
    pen.draw();
  } else if (lab.parts) {
    PARTS[lab.parts.index].draw(picture, lab.parts.seen);
  } else {
    if (show("heat")) picture.heat(drift(now));
    if (show("field")) {
      const moved = lab.network.apply(COARSE);
      const moves = moved.map((v, i) => v - COARSE[i]);
      picture.arrows(COARSE, moves, "ink", { longest: 0.2, width: 1 });
    }
    const { x, z } = lab.shown;
    const fz = lab.network.apply(z);
    if (show("x")) picture.points(x, "x", 2, 0.7);
    if (show("lines")) picture.lines(z, fz, "fz", 0.22);
    if (show("z")) picture.points(z, "z", 2);
    if (show("fz")) picture.points(fz, "fz", 2.5);
    if (show("ffz")) {
      const ffz = lab.network.apply(fz);
      picture.lines(fz, ffz, "ffz", 0.6);
      picture.points(ffz, "ffz", 2);
    }
    if (show("orbit") && lab.place) picture.orbit(orbit());
  }
  if (!lab.running || now - last.curves > 100) {
    last.curves = now;
    terms.draw();
    shares.draw();
    tell(now);
  }
}

function drift(now) {
  if (!heat || !lab.running || now - last.heat > OFTEN) {
    const moved = lab.network.apply(FINE);
    heat = new Float32Array(FINE.length / 2);
    for (let i = 0; i < heat.length; i++)
      heat[i] = Math.hypot(
        moved[2 * i] - FINE[2 * i],
        moved[2 * i + 1] - FINE[2 * i + 1],
      );
    last.heat = now;
  }
  return heat;
}

function orbit() {
  const path = [...lab.place];
  for (let k = 0; k < ORBIT; k++)
    path.push(...lab.network.apply(Float32Array.from(path.slice(-2))));
  return path;
}

function tell(now) {
  const { precision, coverage } = lab.judged;
  const per =
    lab.running && lab.state.rate
      ? `, ${Math.round(lab.state.rate)} a second`
      : "";
  const measured = Number.isFinite(precision)
    ? `; precision ${precision.toFixed(2)}, coverage ${coverage.toFixed(2)}`
    : "";
  find("numbers").textContent = `Step ${lab.state.step}${per}${measured}`;
  if (lab.place && lab.settings.show.includes("orbit") && !lab.parts) {
    const path = orbit();
    const point = (i) =>
      `(${path[2 * i].toFixed(2)}, ${path[2 * i + 1].toFixed(2)})`;
    const far = Math.hypot(path[2] - path[0], path[3] - path[1]);
    find("probe").textContent =
      `y ${point(0)}, f(y) ${point(1)}, drift ${far.toFixed(2)}; f⁸(y) ${point(ORBIT)}`;
  } else find("probe").textContent = "";
  if (lab.running && now - lab.told > TOLD)
    say(`Step ${lab.state.step}${measured}.`);
}
