/** The page: what is set, the worker that trains by it, and what is drawn of what the worker tells. */
import workerSource from "bundled:./worker.js";
import { Curves } from "./curves.js";
import { DATA, SKETCHES, SOURCES, dataset, source } from "./data.js";
import { Picture, TOP, grid } from "./draw.js";
import { hasKernel } from "./gemm.js";
import { hook } from "./hook.js";
import { measures } from "./measures.js";
import { Network } from "./network.js";
import { PARTS } from "./parts.js";
import { Pen } from "./pen.js";
import { PRESETS, WORKING } from "./presets.js";
import { Random } from "./random.js";
import { LAYERS, RATES, WIDTHS, defaults, fromHash, toHash } from "./state.js";

const DRAWN = 400; // points of x and of z that are drawn
const JUDGED = 1000; // points of f(z) that are measured
const COARSE = grid(19); // where the field's arrows stand
const FINE = grid(48); // where the drift is mapped
const OFTEN = 250; // milliseconds between two measurements, and two maps of the drift
const TOLD = 6000; // ... between two sentences of the live region
const ORBIT = 8; // applications of f

const find = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");

let settings = fromHash(location.hash);
let generation = 0;
let running = false;
let state = { step: 0, rate: 0, terms: {}, finite: true };
let network = null; // f as it is drawn: the averaged weights
let shape = null; // the data set
let shown = null; // x and z that are drawn, z that is judged
let place = null; // where the orbit begins
let parts = null; // a step being gone through: {index, seen}
let dirty = true;
let heat = null; // the drift on FINE
let judged = { precision: NaN, coverage: NaN };
const last = {
  judged: 0,
  heat: 0,
  told: 0,
  drawn: 0,
  counted: 0,
  frames: 0,
  fps: 0,
  curves: 0,
};

const picture = new Picture(find("plane"));
const pen = new Pen(picture, penned);
const terms = new Curves(find("terms"), find("terms-legend"), [
  { key: "reconstruction", name: "reconstruction", colour: "x", dash: [] },
  { key: "idempotence", name: "idempotence", colour: "fz", dash: [] },
  {
    key: "tightness",
    name: "tightness, clamped",
    colour: "drift",
    dash: [5, 3],
  },
]);
const shares = new Curves(
  find("shares"),
  find("shares-legend"),
  [
    { key: "precision", name: "precision", colour: "fz", dash: [] },
    { key: "coverage", name: "coverage", colour: "x", dash: [5, 3] },
  ],
  1,
);

// ------------------------------------------------------------------------------------------------------- the worker
let worker = null;
try {
  worker = new Worker(
    URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" })),
  );
  worker.onmessage = ({ data }) => hear(data);
} catch {
  find("stuck").hidden = false;
}
const ask = (message) => worker?.postMessage(message);

function hear({ state: told, parts: seen, applied }) {
  if ((told ?? seen ?? applied).generation !== generation) return; // of a training that has been left
  if (told) {
    state = told;
    network.theta.set(told.theta);
    if (!told.finite) pause(); // it has stopped by itself
    if (!told.finite)
      say(
        "Numbers have left the range of floats: the training has blown up. Reset it, or press another button.",
      );
    terms.add(told.step, told.terms);
    judge();
  }
  if (seen) parts = { index: 0, seen };
  if (applied && parts) {
    const [{ seen: was }, raw] = [
      parts,
      new Network({ width: settings.width, rows: 256 }),
    ];
    raw.theta.set(applied.theta);
    was.after = { fx: raw.apply(was.x), fz: raw.apply(was.z) };
  }
  if (seen || applied) showParts();
  dirty = true;
}

/** Start again by what is set. */
function restart() {
  generation += 1;
  leaveParts();
  network = new Network({ width: settings.width, rows: 512 });
  network.start(new Random(settings.seed, "weights"));
  state = { step: 0, rate: 0, terms: {}, finite: true };
  terms.clear();
  shares.clear();
  judged = { precision: NaN, coverage: NaN };
  redraw();
  ask({ settings, fresh: true, generation });
  if (running) ask({ run: true });
}

/** Go on by what is set. */
function change() {
  leaveParts();
  ask({ settings });
}

/** Draw anew what is shown of data and source. */
function redraw() {
  shape = dataset(settings.data, settings.drawing);
  const draw = source(settings.source, settings.shape);
  shown = {
    x: shape.sample(DRAWN, new Random(settings.seed, "shown x")),
    z: draw(DRAWN, new Random(settings.seed, "shown z")),
    judged: draw(JUDGED, new Random(settings.seed, "judged z")),
  };
  last.judged = last.heat = 0;
  dirty = true;
}

function judge() {
  const now = performance.now();
  if (running && now - last.judged < OFTEN) return;
  last.judged = now;
  judged = measures(shape, network.apply(shown.judged));
  shares.add(state.step, judged);
}

// ------------------------------------------------------------------------------------------------------ play, step
function play() {
  leaveParts();
  endPen();
  running = true;
  find("play").textContent = "Pause";
  ask({ run: true });
  last.told = performance.now() - TOLD + 2000;
  say("Training.");
}

function pause() {
  if (!running) return;
  running = false;
  find("play").textContent = "Play";
  ask({ run: false });
  say(`Paused at step ${state.step}.`);
}

find("play").onclick = () => (running ? pause() : play());
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
  if (running) ask({ run: !document.hidden }); // a hidden page shouldn't keep a machine busy
});

function say(sentence) {
  find("status").textContent = sentence;
  last.told = performance.now();
}

// ------------------------------------------------------------------------------------------------------- controls
const number = (value, digits = 3) => String(Number(value.toFixed(digits)));
const nearestOf = (list, value) =>
  list.reduce(
    (best, v, i) =>
      Math.abs(v - value) < Math.abs(list[best] - value) ? i : best,
    0,
  );

/** id: {get: what the control shows, set: what it means, says: its value in words, fresh: whether training starts again} */
const CONTROLS = {
  data: { get: (s) => s.data, set: chooseData, fresh: true },
  source: {
    get: (s) => s.source,
    set: (v) => (settings.source = v),
    fresh: false,
  },
  lambda: {
    get: (s) => s.lambda,
    set: (v) => (settings.lambda = Number(v)),
    says: (s) => number(s.lambda),
  },
  idempotence: {
    get: (s) => s.idempotence,
    set: (v) => (settings.idempotence = Number(v)),
    says: (s) => number(s.idempotence),
  },
  clamp: {
    get: (s) => s.clamp ?? kept.clamp,
    set: (v) => (settings.clamp = Number(v)),
    says: (s) => (s.clamp ? number(s.clamp) : "off"),
  },
  distance: { get: (s) => s.distance, set: (v) => (settings.distance = v) },
  lr: {
    get: (s) => nearestOf(RATES, s.lr),
    set: (v) => (settings.lr = RATES[v]),
    says: (s) => number(s.lr, 6),
  },
  width: {
    get: (s) => WIDTHS.indexOf(s.width),
    set: (v) => (settings.width = WIDTHS[v]),
    says: (s) => String(s.width),
    fresh: true,
  },
  seed: {
    get: (s) => s.seed,
    set: (v) =>
      (settings.seed = Math.min(
        999999999,
        Math.max(0, Math.floor(Number(v)) || 0),
      )),
    fresh: true,
  },
};
const kept = { clamp: settings.clamp ?? 1.5 }; // what the clamp goes back to

function chooseData(name) {
  const { lambda, distance } = defaults(name); // the book's recipe for that shape
  Object.assign(settings, { data: name, lambda, distance });
}

const options = (table) =>
  Object.entries(table).map(([value, text]) => new Option(text, value));
find("data").append(...options(DATA));
find("source").append(...options(SOURCES));

for (const [id, { set, fresh }] of Object.entries(CONTROLS)) {
  const ranged = find(id).type === "range" && !fresh;
  find(id).addEventListener(ranged ? "input" : "change", ({ target }) => {
    set(target.value);
    if (id === "clamp") kept.clamp = settings.clamp;
    endPen();
    reflect();
    if (fresh) restart();
    else {
      if (id === "source") redraw();
      change();
    }
  });
}
find("clamped").onchange = ({ target }) => {
  settings.clamp = target.checked ? kept.clamp : null;
  reflect();
  change();
};

const LAYER_NAMES = {
  x: ["data x", ""],
  z: ["source z", ""],
  fz: ["f(z)", ""],
  ffz: ["f²(z)", ""],
  lines: ["lines z to f(z)", "line"],
  field: ["field f(y) − y", "line"],
  heat: [`drift |f(y) − y|, 0 to ${TOP}`, "area"],
  orbit: ["orbit of the pointer", "line"],
};
const LAYER_COLOURS = {
  lines: "fz",
  field: "ink",
  heat: "drift",
  orbit: "ink",
};
for (const layer of LAYERS) {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), {
    type: "checkbox",
    id: `show-${layer}`,
  });
  box.onchange = () => {
    settings.show = LAYERS.filter((name) => find(`show-${name}`).checked);
    reflect();
  };
  const swatch = Object.assign(document.createElement("span"), {
    className: `swatch ${LAYER_NAMES[layer][1]}`,
  });
  swatch.style = `--c: var(--${LAYER_COLOURS[layer] ?? layer})`;
  label.append(box, swatch, LAYER_NAMES[layer][0]);
  find("layers").append(label);
}

/** Let page and address show what is set. */
function reflect() {
  for (const [id, { get, says }] of Object.entries(CONTROLS)) {
    find(id).value = get(settings);
    if (!says) continue;
    find(`${id}-value`).textContent = says(settings);
    find(id).setAttribute("aria-valuetext", says(settings));
  }
  find("clamped").checked = settings.clamp !== null;
  find("clamp").disabled = settings.clamp === null;
  find("draw-data").hidden = settings.data !== "own";
  find("draw-source").hidden = settings.source !== "broad";
  document.body.dataset.view = settings.view;
  find("whole").firstChild.href = toHash({ ...settings, view: "full" });
  for (const layer of LAYERS)
    find(`show-${layer}`).checked = settings.show.includes(layer);
  for (const button of find("presets").querySelectorAll("button"))
    button.setAttribute(
      "aria-pressed",
      String(fits(button.id.replace("break-", ""))),
    );
  const hash = toHash({ ...settings, play: false });
  if (hash !== location.hash)
    try {
      history.replaceState(null, "", hash);
    } catch {
      location.hash = hash; // some browsers refuse the other for pages from disk
    }
  dirty = true;
}

addEventListener("hashchange", () => {
  const wanted = fromHash(location.hash);
  if (
    toHash({ ...wanted, play: false }) === toHash({ ...settings, play: false })
  )
    return;
  adopt(wanted);
});

function adopt(wanted) {
  pause();
  endPen();
  settings = wanted;
  kept.clamp = settings.clamp ?? kept.clamp;
  find("told").textContent = "";
  reflect();
  restart();
}

// ------------------------------------------------------------------------------------------------------- break it
const PRESET_OF = Object.fromEntries(
  [WORKING, ...PRESETS.flatMap(({ list }) => list)].map((preset) => [
    preset.id,
    preset,
  ]),
);
const presetSettings = (id) => {
  const { set } = PRESET_OF[id];
  const { show, seed, width, view } = settings;
  return { ...defaults(set.data), ...set, show, seed, width, view };
};
const fits = (id) =>
  toHash({ ...presetSettings(id), play: false }) ===
  toHash({ ...settings, play: false });

for (const { heading, list } of [
  { heading: "", list: [WORKING] },
  ...PRESETS,
]) {
  if (heading)
    find("presets").append(
      Object.assign(document.createElement("h3"), { textContent: heading }),
    );
  const row = Object.assign(document.createElement("div"), {
    className: "row",
  });
  for (const { id, name, see } of list) {
    const button = Object.assign(document.createElement("button"), {
      type: "button",
      id: `break-${id}`,
      textContent: name,
    });
    button.onclick = () => {
      adopt(presetSettings(id));
      find("told").textContent = `${name}. What to see: ${see}`;
      find("plane").scrollIntoView({ block: "center" });
      play();
    };
    row.append(button);
  }
  find("presets").append(row);
}

// ------------------------------------------------------------------------------------------------ a step, in parts
find("parts-next").onclick = () => {
  if (!parts) {
    pause();
    endPen();
    ask({ look: true });
    find("plane").scrollIntoView({ block: "nearest" });
    return;
  }
  if (parts.index === PARTS.length - 1) {
    leaveParts();
    ask({ look: true }); // the next step
    return;
  }
  parts.index += 1;
  if (parts.index === PARTS.length - 1 && !parts.seen.after)
    ask({ apply: true });
  showParts();
};
find("parts-back").onclick = () => {
  parts.index -= 1;
  showParts();
};
find("parts-end").onclick = () => {
  leaveParts();
  find("parts-next").focus();
};

function showParts() {
  const index = parts?.index ?? -1;
  const taken = parts?.seen.after;
  find("parts-next").textContent =
    index < 0
      ? "Begin"
      : index === PARTS.length - 1
        ? "Next step"
        : "Next part";
  find("parts-back").disabled = index <= 0;
  find("parts-end").disabled = index < 0;
  find("told").textContent =
    index < 0
      ? ""
      : PARTS[index].text +
        (taken && index < 6 ? " (This step has been taken.)" : "");
  dirty = true;
}

function leaveParts() {
  if (!parts) return;
  parts = null;
  showParts();
}

// --------------------------------------------------------------------------------------------- drawing by the reader
function beginPen(which) {
  pause();
  leaveParts();
  const given = settings[which];
  pen.begin(given, which === "drawing" ? "x" : "z");
  pen.which = which;
  pen.given = given.length
    ? given
    : SKETCHES[which === "drawing" ? "own" : "broad"];
  find("pen").hidden = false;
  picture.canvas.classList.add("drawing");
  picture.canvas.focus();
  say("Drawing. What you draw replaces the sketch that is there.");
  dirty = true;
}

function penned(strokes) {
  settings[pen.which] = structuredClone(strokes);
  reflect();
  restart();
}

function endPen() {
  if (!pen.on) return;
  pen.end();
  find("pen").hidden = true;
  picture.canvas.classList.remove("drawing");
  dirty = true;
}

find("draw-data").onclick = () => beginPen("drawing");
find("draw-source").onclick = () => beginPen("shape");
find("clear").onclick = () => pen.clear();
find("done").onclick = () => {
  endPen();
  say("Done. Press Play to learn it.");
  find("play").focus();
};

// ------------------------------------------------------------------------------------------- pointer and keys there
const canvas = picture.canvas;
canvas.onpointerdown = (event) => {
  if (!pen.on) return lookAt(picture.at(event));
  canvas.setPointerCapture(event.pointerId);
  pen.put(picture.at(event));
  dirty = true;
};
canvas.onpointermove = (event) => {
  find("probe").setAttribute("aria-live", "off");
  if (pen.on) pen.move(picture.at(event));
  else if (event.pointerType === "mouse") lookAt(picture.at(event));
  dirty = true;
};
canvas.onpointerup = canvas.onpointercancel = () => pen.on && pen.lift();
canvas.onpointerleave = (event) => {
  if (!pen.on && event.pointerType === "mouse") lookAt(null);
};
canvas.onkeydown = (event) => {
  const move = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, 1],
    ArrowDown: [0, -1],
  }[event.key];
  const far = event.shiftKey ? 0.3 : 0.1;
  if (move) {
    find("probe").setAttribute("aria-live", running ? "off" : "polite"); // while f moves, it would never be silent
    const [a, b] = pen.on ? pen.place : (place ?? [0, 0]);
    const next = [a + far * move[0], b + far * move[1]];
    if (pen.on) pen.move(next);
    else lookAt(next);
  } else if (pen.on && event.key === " ") {
    if (pen.down) pen.lift();
    else pen.put(pen.place);
    say(pen.down ? "The pen is down." : "The pen is up.");
  } else if (event.key === "Escape") {
    if (pen.on) find("done").click();
    else lookAt(null);
  } else return;
  event.preventDefault();
  dirty = true;
};

function lookAt(point) {
  place = point;
  if (point && !settings.show.includes("orbit")) {
    settings.show.push("orbit");
    reflect();
  }
  dirty = true;
}

// ------------------------------------------------------------------------------------------------------- drawing
function frame(now) {
  requestAnimationFrame(frame);
  const pace = still.matches ? 500 : 0; // with reduced motion, two pictures a second
  if (!dirty || (running && now - last.drawn < pace)) return;
  dirty = false;
  last.drawn = now;
  paint(now);
  last.frames += 1;
  if (now - last.counted > 500) {
    last.fps = (1000 * last.frames) / (now - last.counted);
    Object.assign(last, { frames: 0, counted: now });
  }
}

function paint(now) {
  picture.begin();
  const show = (layer) => settings.show.includes(layer);
  if (pen.on) {
    if (!pen.strokes.length) picture.strokes(pen.given, "hair");
    pen.draw();
  } else if (parts) {
    PARTS[parts.index].draw(picture, parts.seen);
  } else {
    if (show("heat")) picture.heat(drift(now));
    if (show("field")) {
      const moved = network.apply(COARSE);
      const moves = moved.map((v, i) => v - COARSE[i]);
      picture.arrows(COARSE, moves, "ink", { longest: 0.2, width: 1 });
    }
    const { x, z } = shown;
    const fz = network.apply(z);
    if (show("x")) picture.points(x, "x", 2, 0.7);
    if (show("lines")) picture.lines(z, fz, "fz", 0.22);
    if (show("z")) picture.points(z, "z", 2);
    if (show("fz")) picture.points(fz, "fz", 2.5);
    if (show("ffz")) {
      const ffz = network.apply(fz);
      picture.lines(fz, ffz, "ffz", 0.6);
      picture.points(ffz, "ffz", 2);
    }
    if (show("orbit") && place) picture.orbit(orbit());
  }
  if (!running || now - last.curves > 100) {
    last.curves = now;
    terms.draw();
    shares.draw();
    tell(now);
  }
}

function drift(now) {
  if (!heat || !running || now - last.heat > OFTEN / 2) {
    const moved = network.apply(FINE);
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
  const path = [...place];
  for (let k = 0; k < ORBIT; k++)
    path.push(...network.apply(Float32Array.from(path.slice(-2))));
  return path;
}

function tell(now) {
  const { precision, coverage } = judged;
  const per =
    running && state.rate ? `, ${Math.round(state.rate)} a second` : "";
  const shares_ = Number.isFinite(precision)
    ? `; precision ${precision.toFixed(2)}, coverage ${coverage.toFixed(2)}`
    : "";
  find("numbers").textContent = `Step ${state.step}${per}${shares_}`;
  if (place && settings.show.includes("orbit") && !parts) {
    const path = orbit();
    const point = (i) =>
      `(${path[2 * i].toFixed(2)}, ${path[2 * i + 1].toFixed(2)})`;
    const far = Math.hypot(path[2] - path[0], path[3] - path[1]);
    find("probe").textContent =
      `y ${point(0)}, f(y) ${point(1)}, drift ${far.toFixed(2)}; f⁸(y) ${point(ORBIT)}`;
  } else find("probe").textContent = "";
  if (running && now - last.told > TOLD) say(`Step ${state.step}${shares_}.`);
}

for (const query of ["(prefers-color-scheme: dark)", "print"])
  matchMedia(query).addEventListener("change", () => (dirty = true));
new ResizeObserver(() => (dirty = true)).observe(canvas);

find("slow").hidden = hasKernel();
window.ignLab = {
  ...hook,
  rates: () => ({ steps: state.rate, frames: last.fps }),
  settings: () => structuredClone(settings),
  state: () => ({
    step: state.step,
    running,
    ...judged,
    part: parts?.index ?? null,
  }),
};
const autoplay = settings.play && !still.matches;
reflect();
restart();
requestAnimationFrame(frame);
if (autoplay) play();
