/** The controls: what each of them sets, and how they, and the address, show what is set. */
import { showHash } from "./address.js";
import { DATA, SOURCES } from "./data.js";
import { TOP } from "./draw.js";
import { find, lab } from "./lab.js";
import { PRESETS, WORKING } from "./presets.js";
import { endPen } from "./sketch.js";
import { LAYERS, RATES, WIDTHS, defaults, fromHash, toHash } from "./state.js";
import { change, pause, play, redraw, restart } from "./training.js";

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
    set: (v) => (lab.settings.source = v),
    fresh: false,
  },
  lambda: {
    get: (s) => s.lambda,
    set: (v) => (lab.settings.lambda = Number(v)),
    says: (s) => number(s.lambda),
  },
  idempotence: {
    get: (s) => s.idempotence,
    set: (v) => (lab.settings.idempotence = Number(v)),
    says: (s) => number(s.idempotence),
  },
  clamp: {
    get: (s) => s.clamp ?? kept.clamp,
    set: (v) => (lab.settings.clamp = Number(v)),
    says: (s) => (s.clamp ? number(s.clamp) : "off"),
  },
  distance: { get: (s) => s.distance, set: (v) => (lab.settings.distance = v) },
  lr: {
    get: (s) => nearestOf(RATES, s.lr),
    set: (v) => (lab.settings.lr = RATES[v]),
    says: (s) => number(s.lr, 6),
  },
  width: {
    get: (s) => WIDTHS.indexOf(s.width),
    set: (v) => (lab.settings.width = WIDTHS[v]),
    says: (s) => String(s.width),
    fresh: true,
  },
  seed: {
    get: (s) => s.seed,
    set: (v) =>
      (lab.settings.seed = Math.min(
        999999999,
        Math.max(0, Math.floor(Number(v)) || 0),
      )),
    fresh: true,
  },
};
const kept = { clamp: lab.settings.clamp ?? 1.5 }; // what the clamp goes back to

function chooseData(name) {
  const { lambda, distance } = defaults(name); // the book's recipe for that shape
  Object.assign(lab.settings, { data: name, lambda, distance });
}

const options = (table) =>
  Object.entries(table).map(([value, text]) => new Option(text, value));
find("data").append(...options(DATA));
find("source").append(...options(SOURCES));

for (const [id, { set, fresh }] of Object.entries(CONTROLS)) {
  const ranged = find(id).type === "range" && !fresh;
  find(id).addEventListener(ranged ? "input" : "change", ({ target }) => {
    set(target.value);
    if (id === "clamp") kept.clamp = lab.settings.clamp;
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
  lab.settings.clamp = target.checked ? kept.clamp : null;
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
    lab.settings.show = LAYERS.filter((name) => find(`show-${name}`).checked);
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
export function reflect() {
  for (const [id, { get, says }] of Object.entries(CONTROLS)) {
    find(id).value = get(lab.settings);
    if (!says) continue;
    find(`${id}-value`).textContent = says(lab.settings);
    find(id).setAttribute("aria-valuetext", says(lab.settings));
  }
  find("clamped").checked = lab.settings.clamp !== null;
  find("clamp").disabled = lab.settings.clamp === null;
  find("draw-data").hidden = lab.settings.data !== "own";
  find("draw-source").hidden = lab.settings.source !== "broad";
  document.body.dataset.view = lab.settings.view;
  find("whole").firstChild.href = toHash({ ...lab.settings, view: "full" });
  for (const layer of LAYERS)
    find(`show-${layer}`).checked = lab.settings.show.includes(layer);
  for (const button of find("presets").querySelectorAll("button"))
    button.setAttribute(
      "aria-pressed",
      String(isSet(presetSettings(button.id.replace("break-", "")))),
    );
  showHash(toHash({ ...lab.settings, play: false }));
  lab.dirty = true;
}

addEventListener("hashchange", () => {
  const wanted = fromHash(location.hash);
  if (!isSet(wanted)) adopt(wanted);
});

/** Whether these settings are the reader's, playing or not. */
const isSet = (settings) =>
  toHash({ ...settings, play: false }) ===
  toHash({ ...lab.settings, play: false });

function adopt(wanted) {
  pause();
  endPen();
  lab.settings = wanted;
  kept.clamp = lab.settings.clamp ?? kept.clamp;
  find("told").textContent = "";
  reflect();
  restart();
}

const PRESET_OF = Object.fromEntries(
  [WORKING, ...PRESETS.flatMap(({ list }) => list)].map((preset) => [
    preset.id,
    preset,
  ]),
);
const presetSettings = (id) => {
  const { set } = PRESET_OF[id];
  const { show, seed, width, view } = lab.settings;
  return { ...defaults(set.data), ...set, show, seed, width, view };
};
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
