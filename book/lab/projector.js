/** The projector's page: what is brought, what is done to it, and the models that are applied to it. */
import { showHash } from "./address.js";
import { Autoencoder } from "./conv.js";
import { bindBringing, pictureOf } from "./bring.js";
import { FourierSource, arc } from "./fourier.js";
import { Eraser } from "./eraser.js";
import { hasKernel } from "./gemm.js";
import { CORRUPTIONS, erased, prepare, wiped } from "./images.js";
import { KINDS } from "./models.js";
import { Pad } from "./pad.js";
import { Random } from "./random.js";
import { Card, power, show } from "./results.js";
import { Strip } from "./strip.js";
import { load } from "./weights.js";

if (self !== top) document.body.dataset.view = "frame"; // in a chapter, which says what this is
const SAMPLES = 6;
const find = (id) => document.getElementById(id);

const state = {
  kind: "digits",
  chosen: Object.fromEntries(
    Object.entries(KINDS).map(([kind, { models }]) => [kind, [models[0].name]]),
  ),
  picture: null, // what was drawn or brought, as RGBA pixels
  base: null, // the image before it is damaged
  called: "z", // what it is, in words
  noise: true, // whether it is z
  y: null,
  corruption: "none",
  strengths: {}, // corruption -> what was set last
  chance: 0,
  draws: 0, // the path leads from this draw of z to the next
  first: null, // milliseconds from the opening of the page to the first projection
};

// ------------------------------------------------------------------------------------------------------------- words

let spoken;

/** Something that has to be seen and heard. */
function say(sentence) {
  find("status").textContent = sentence;
}

/** What is seen anyway, for those who hear it: soon, and only the last, for a dragged slider would never be silent. */
function tell(sentence) {
  clearTimeout(spoken);
  spoken = setTimeout(() => (find("told").textContent = sentence), 600);
}

/** Says what went wrong, if anything does. */
const attempt = (promise) => promise.catch((error) => say(error.message));

// ------------------------------------------------------------------------------------------------------------ models

const ready = new Map(); // name -> {network, source, drift, recipe, tensors}, once they are loaded
const cards = new Map();

async function prepared(name) {
  if (!ready.has(name)) {
    const weights = await load(name);
    if (!ready.has(name))
      ready.set(name, {
        ...weights,
        network: new Autoencoder(weights),
        source: new FourierSource(weights.tensors),
      });
  }
  return ready.get(name);
}

const first = () => prepared(KINDS[state.kind].models[0].name);
const listed = () =>
  KINDS[state.kind].models
    .map(({ name }) => name)
    .filter((name) => state.chosen[state.kind].includes(name));

/** Lays the chosen models' cards out, and loads what isn't there. */
function arrange() {
  const names = listed();
  for (const name of names)
    if (!cards.has(name)) cards.set(name, new Card(name));
  find("results").replaceChildren(...names.map((name) => cards.get(name).root));
  for (const name of names)
    if (!ready.has(name)) {
      cards.get(name).wait("Loading the weights …");
      prepared(name).then(draw, (error) => {
        cards.get(name).wait(error.message);
        say(error.message);
      });
    }
  draw();
}

function draw() {
  if (!state.y) return;
  const k = Number(find("times").value);
  const said = [];
  const seen = [state.y];
  let shape;
  for (const name of listed()) {
    const there = ready.get(name);
    if (!there || there.network.length !== state.y.length) continue;
    const card = cards.get(name);
    said.push(card.draw(state.y, k, there));
    seen.push(card.shown);
    shape = there.network.shape;
  }
  find("times-value").textContent =
    k === 0
      ? "not at all: y"
      : `${k === 1 ? "once" : `${k} times`}: ${power(k)}`;
  find("times").setAttribute("aria-valuetext", find("times-value").textContent);
  if (!said.length) return;
  strip.draw(seen, shape);
  state.first ??= performance.now();
  tell(`${state.called}. ${said.join("; ")}.`);
}

// --------------------------------------------------------------------------------------------------------------- input

/** Takes an image as y's origin.  called: what it is, in words. */
function take(base, called, { noise = false, picture = null } = {}) {
  Object.assign(state, { base, called, noise, picture });
  eraser.forget();
  say("");
  damage();
}

/** Damages what was taken, and shows it. */
async function damage() {
  if (!state.base) return;
  const { network } = await first();
  if (state.base.length !== network.length) return; // the kind has changed meanwhile
  const name = state.noise ? "none" : state.corruption;
  const corruption = CORRUPTIONS[name];
  const chance = new Random(state.chance, "corruption");
  const { shape } = network;
  const damaged = corruption.apply(state.base, shape, strength(name), chance);
  state.y = wiped(damaged, shape, eraser.strokes(), eraser.wide);
  const called = [
    state.called,
    ...(name === "none" ? [] : [corruption.title]),
    ...(eraser.strokes().length ? ["erased by hand"] : []),
  ].join(", ");
  find("y-called").textContent = called;
  find("y").setAttribute("aria-label", `y: ${called}`);
  find("undamaged").hidden = !state.noise;
  show(find("y"), state.y, network.shape);
  draw();
}

const strength = (name) => state.strengths[name] ?? CORRUPTIONS[name].usual;

async function takePicture(picture, called) {
  const kind = state.kind;
  const { recipe } = await first();
  if (kind !== state.kind) return;
  take(prepare(picture, recipe), called, { picture });
}

/** z at the place of the path that the slider shows. */
async function takeNoise() {
  const kind = state.kind;
  const { source } = await first();
  if (kind !== state.kind) return;
  const t = Number(find("path").value);
  const [a, b] = [0, 1].map((end) =>
    source.counted(source.white(new Random(state.draws + end, "z"))),
  );
  take(source.fromWhite(arc(a, b, t)), "z", { noise: true });
}

function tellPath() {
  const t = Number(find("path").value).toFixed(2);
  find("path-value").textContent = t;
  find("path").setAttribute("aria-valuetext", t);
}

async function fillSamples() {
  const kind = state.kind;
  const { source, network } = await first();
  if (kind !== state.kind) return;
  const buttons = Array.from({ length: SAMPLES }, (_, i) => {
    const button = Object.assign(document.createElement("button"), {
      type: "button",
      id: `sample-${i + 1}`,
    });
    button.setAttribute("aria-label", `Sample ${i + 1}`);
    const canvas = Object.assign(document.createElement("canvas"), {
      className: "image",
    });
    button.append(canvas);
    const z = source.fromWhite(source.white(new Random(i, "samples")));
    const fz = network.apply(z);
    show(canvas, fz, network.shape);
    button.onclick = () => take(fz, `sample ${i + 1}`);
    return button;
  });
  find("samples").replaceChildren(...buttons);
}

// ------------------------------------------------------------------------------------------------------------- controls

for (const [kind, { title }] of Object.entries(KINDS)) {
  const button = Object.assign(document.createElement("button"), {
    type: "button",
    id: `kind-${kind}`,
    textContent: title,
  });
  button.onclick = () => choose(kind);
  find("kinds").append(button);
}

/** Goes to a kind of images; what was drawn or brought goes along. */
async function choose(kind) {
  state.kind = kind;
  state.y = null;
  const { models } = KINDS[kind];
  for (const name of Object.keys(KINDS))
    find(`kind-${name}`).setAttribute("aria-pressed", String(name === kind));
  find("models").replaceChildren(
    ...models.map(({ name, title, about }) => {
      const label = Object.assign(document.createElement("label"), {
        className: "check",
      });
      const box = Object.assign(document.createElement("input"), {
        type: "checkbox",
        id: `model-${name}`,
        checked: state.chosen[kind].includes(name),
      });
      box.onchange = () => {
        state.chosen[kind] = models
          .map((one) => one.name)
          .filter((one) => find(`model-${one}`).checked);
        arrange();
      };
      const words = document.createElement("span");
      words.append(
        title,
        Object.assign(document.createElement("small"), {
          textContent: `${name}: ${about}`,
        }),
      );
      label.append(box, words);
      return label;
    }),
  );
  const grey = [...find("corruption").options].find(
    ({ value }) => value === "grey",
  );
  grey.disabled = kind !== "faces"; // the others have no colour
  if (grey.disabled && state.corruption === "grey") setCorruption("none");
  showHash(`#${kind}`);
  find("samples").replaceChildren();
  pad.draw();
  arrange();
  const { picture, called } = state;
  await attempt(picture ? takePicture(picture, called) : takeNoise());
  await attempt(fillSamples());
}

const kindOfHash = () => {
  const kind = location.hash.slice(1);
  return Object.hasOwn(KINDS, kind) ? kind : "digits";
};
addEventListener("hashchange", () => {
  if (kindOfHash() !== state.kind) choose(kindOfHash());
});

find("corruption").append(
  ...Object.entries(CORRUPTIONS).map(
    ([name, { title }]) => new Option(title, name),
  ),
);

function setCorruption(name) {
  state.corruption = find("corruption").value = name;
  const { low, high, step, says, random } = CORRUPTIONS[name];
  find("strength-row").hidden = name === "none";
  find("again").hidden = !random;
  if (name === "none") return;
  find("strength-name").textContent = `Strength: ${says}`;
  Object.assign(find("strength"), { min: low, max: high, step });
  find("strength").value = strength(name);
  tellStrength();
}

function tellStrength() {
  const text = String(Number(Number(find("strength").value).toFixed(2)));
  find("strength-value").textContent = text;
  find("strength").setAttribute("aria-valuetext", text);
}

find("corruption").onchange = ({ target }) => {
  setCorruption(target.value);
  damage();
};
find("strength").oninput = ({ target }) => {
  state.strengths[state.corruption] = Number(target.value);
  tellStrength();
  damage();
};
find("again").onclick = () => {
  state.chance += 1;
  damage();
};
find("times").oninput = draw;
find("path").oninput = () => {
  tellPath();
  attempt(takeNoise());
};
find("draw").onclick = () => {
  state.draws += 2;
  find("path").value = 0;
  tellPath();
  attempt(takeNoise());
};

const pad = new Pad(find("pad"), {
  ink: () => KINDS[state.kind].ink,
  say,
  changed: (picture) =>
    attempt(picture ? takePicture(picture, "your drawing") : takeNoise()),
});
find("clear").onclick = () => pad.clear();
const eraser = new Eraser(find, { say, changed: () => attempt(damage()) });
const strip = new Strip(find("strip"), [find("y"), find("results")]);

bindBringing({
  find,
  say,
  taken: (source) =>
    attempt(
      pictureOf(source).then((picture) => takePicture(picture, "your image")),
    ),
});

// ---------------------------------------------------------------------------------------------------------------- tests

/** The largest difference between f here and PyTorch's, as a share of the range [-1, 1], and the milliseconds that f takes. */
async function compare(name, options) {
  const weights = await load(name);
  const network = new Autoencoder(weights, options);
  const y = weights.tensors["check.y"].numbers;
  const expected = weights.tensors["check.fy"].numbers;
  const found = network.apply(y);
  const times = Array.from({ length: 9 }, () => {
    const began = performance.now();
    network.apply(y);
    return performance.now() - began;
  }).sort((a, b) => a - b);
  const largest = found.reduce(
    (most, v, i) => Math.max(most, Math.abs(v - expected[i])),
    0,
  );
  return {
    difference: largest / 2,
    milliseconds: times[4],
    fast: network.fast,
  };
}

find("check").onclick = async () => {
  const lines = [];
  for (const name of listed())
    try {
      const { difference, milliseconds } = await compare(name);
      const well = difference < 1e-3;
      lines.push(
        `${name}: ${well ? "equal" : "NOT equal"}, the largest difference is ${difference.toExponential(0)} of the range (allowed: 0.001); f takes ${milliseconds.toFixed(0)} ms.`,
      );
    } catch (error) {
      lines.push(error.message);
    }
  find("checked").textContent = lines.join(" ");
};

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
find("slow").hidden = hasKernel();

/** By which tests ask the page for what it computes; images and white numbers are flat arrays. */
window.ignProjector = {
  state: () => ({
    kind: state.kind,
    models: listed(),
    called: state.called,
    y: state.y && [...state.y],
    first: state.first,
    drifts: Object.fromEntries(
      listed().map((name) => [name, cards.get(name)?.drifts ?? null]),
    ),
  }),
  compare,
  async apply(name, y) {
    const { network } = await prepared(name);
    return [...network.apply(Float32Array.from(y))];
  },
  async path(name, a, b, t) {
    const { source } = await prepared(name);
    const ends = [a, b].map((e) => source.counted(Float32Array.from(e)));
    return [...source.fromWhite(arc(...ends, t))];
  },
  async draws(name, n) {
    const { source } = await prepared(name);
    const random = new Random(1, "test");
    return Array.from({ length: n }, () => [
      ...source.fromWhite(source.white(random)),
    ]);
  },
  corrupt: (name, shape, y, strength) => [
    ...CORRUPTIONS[name].apply(Float32Array.from(y), shape, strength),
  ],
  erase: (shape, y, ...square) => [
    ...erased(Float32Array.from(y), shape, ...square),
  ],
  async prepare(name, picture) {
    const { recipe } = await prepared(name);
    return [...prepare(picture, recipe)];
  },
};

setCorruption("none");
tellPath();
choose(kindOfHash());
