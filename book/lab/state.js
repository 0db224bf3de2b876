/**
 * What the reader has set, and how it stands in the address: "#ring-lambda-0.125-source-uniform", the data set first and
 * then names and values, of which only those are written that differ from the data set's own.
 */
import { DATA, SIDE, SOURCES } from "./data.js";
import { RULES } from "./objective.js";

export const LAYERS = [
  "x",
  "z",
  "fz",
  "ffz",
  "lines",
  "field",
  "heat",
  "orbit",
];
export const WIDTHS = [16, 32, 64, 96, 128];
export const RATES = [
  0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
];

const COMMON = {
  source: "gaussian",
  lambda: 0.25,
  idempotence: 20,
  clamp: 1.5,
  distance: "l1",
  lr: 0.002,
  width: 64,
  seed: 0,
  rule: "right",
  show: ["x", "z", "fz", "lines", "heat", "orbit"],
  drawing: [],
  shape: [],
  play: false,
  view: "full", // or "plane": the plane alone, for a page that has the lab in a frame
};
/** lambda and distance of the book's recipes (ignbook/recipes.py). */
const OWN = {
  ring: { lambda: 0.125 },
  moons: { lambda: 0.75 },
  spiral: { lambda: 0.125, distance: "l2" },
  gaussians: { lambda: 0.25, distance: "l2" },
  own: {},
};

export function defaults(data) {
  return structuredClone({ data, ...COMMON, ...OWN[data] });
}

const within = (low, high) => ({
  read: (text) => {
    const value = text === "" ? NaN : Number(text);
    return Number.isFinite(value)
      ? Math.min(high, Math.max(low, value))
      : undefined;
  },
  write: String,
});
const oneOf = (table) => ({
  read: (text) => (Object.hasOwn(table, text) ? text : undefined),
  write: String,
});
const strokes = { read: readStrokes, write: writeStrokes };

/** name: {read: text -> value, or undefined for nonsense; write: value -> text without a dash}. */
const FIELDS = {
  source: oneOf(SOURCES),
  lambda: within(0, 1.5),
  idempotence: within(0, 60),
  clamp: {
    read: (text) => (text === "off" ? null : within(0.1, 5).read(text)),
    write: (value) => (value === null ? "off" : String(value)),
  },
  distance: oneOf({ l1: 1, l2: 1 }),
  lr: within(0.00001, 0.5),
  width: {
    read: (text) => WIDTHS.find((width) => String(width) === text),
    write: String,
  },
  seed: {
    read: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined),
    write: String,
  },
  rule: oneOf(RULES),
  show: {
    read: (text) =>
      text === "none"
        ? []
        : LAYERS.filter((layer) => text.split(".").includes(layer)),
    write: (layers) =>
      LAYERS.filter((layer) => layers.includes(layer)).join(".") || "none",
  },
  drawing: strokes,
  shape: strokes,
  play: {
    read: (text) => (text === "1" ? true : undefined),
    write: (value) => (value ? "1" : "0"),
  },
  view: oneOf({ full: 1, plane: 1 }),
};

function plain(hash) {
  try {
    return decodeURIComponent(hash.replace(/^#/, ""));
  } catch {
    return ""; // a lone per cent sign
  }
}

/** The settings that an address asks for; what it doesn't name, or names wrongly, is as the data set has it. */
export function fromHash(hash) {
  const [data, ...rest] = plain(hash).split("-");
  const settings = defaults(Object.hasOwn(DATA, data) ? data : "ring");
  for (let i = 0; i + 1 < rest.length; i += 2) {
    const field = Object.hasOwn(FIELDS, rest[i]) ? FIELDS[rest[i]] : null;
    const value = field?.read(rest[i + 1]);
    if (value !== undefined) settings[rest[i]] = value;
  }
  return settings;
}

export function toHash(settings) {
  const usual = defaults(settings.data);
  const parts = [settings.data];
  for (const [name, { write }] of Object.entries(FIELDS)) {
    const text = write(settings[name]);
    if (text !== write(usual[name])) parts.push(name, text);
  }
  return `#${parts.join("-")}`;
}

/** Each coordinate as two digits of base 32, strokes apart by full stops. */
function writeStrokes(list) {
  const digits = (value) => {
    const step = Math.min(
      1023,
      Math.max(0, Math.round(((value + SIDE) / (2 * SIDE)) * 1023)),
    );
    return step.toString(32).padStart(2, "0");
  };
  return list
    .map((stroke) => stroke.map(([a, b]) => digits(a) + digits(b)).join(""))
    .join(".");
}

function readStrokes(text) {
  if (!/^[0-9a-v.]*$/.test(text)) return undefined;
  const number = (pair) => (parseInt(pair, 32) / 1023) * 2 * SIDE - SIDE;
  return text
    .split(".")
    .map((stroke) =>
      (stroke.match(/.{4}/g) ?? []).map((p) => [
        number(p.slice(0, 2)),
        number(p.slice(2)),
      ]),
    )
    .filter((stroke) => stroke.length);
}
