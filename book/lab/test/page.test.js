import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import {
  DATA,
  SIDE,
  SKETCHES,
  along,
  dataset,
  nearest,
  source,
} from "../data.js";
import { measures } from "../measures.js";
import { KINDS } from "../models.js";
import { PRESETS, WORKING } from "../presets.js";
import { Random } from "../random.js";
import { defaults, fromHash, toHash } from "../state.js";
import { Trainer } from "../trainer.js";

test("a seed decides the numbers, and streams differ", () => {
  const ten = (random) => Array.from({ length: 10 }, () => random.uniform());
  assert.deepEqual(ten(new Random(5, "a")), ten(new Random(5, "a")));
  assert.notDeepEqual(ten(new Random(5, "a")), ten(new Random(5, "b")));
  assert.notDeepEqual(ten(new Random(5, "a")), ten(new Random(6, "a")));
});

test("numbers are even, and normal ones have mean 0 and variance 1", () => {
  const random = new Random(0, "moments");
  const n = 20000;
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
  const even = Array.from({ length: n }, () => random.uniform());
  assert.ok(even.every((u) => u >= 0 && u < 1));
  assert.ok(Math.abs(mean(even) - 0.5) < 0.01);
  const normal = Array.from({ length: n }, () => random.normal());
  assert.ok(Math.abs(mean(normal)) < 0.03);
  assert.ok(Math.abs(mean(normal.map((v) => v * v)) - 1) < 0.05);
});

for (const name of Object.keys(DATA))
  test(`${name}: samples are on the support and hit every part`, () => {
    const shape = dataset(name, []);
    const points = shape.sample(2000, new Random(0, "x"));
    const { precision, coverage } = measures(shape, points);
    assert.ok(precision >= (name === "gaussians" ? 0.98 : 1));
    assert.equal(coverage, 1);
    assert.ok(points.every((v) => Math.abs(v) < SIDE));
    assert.equal(measures(shape, Float32Array.of(9, 9)).precision, 0);
  });

test("the ring has radius 1, the spiral grows from 0.15 to 1.35", () => {
  const radii = (name) => {
    const points = dataset(name).sample(500, new Random(0, "x"));
    return Array.from({ length: 500 }, (_, i) =>
      Math.hypot(points[2 * i], points[2 * i + 1]),
    );
  };
  assert.ok(radii("ring").every((r) => Math.abs(r - 1) < 1e-6));
  assert.ok(radii("spiral").every((r) => r > 0.149 && r < 1.351));
});

test("a drawing is sampled evenly along its strokes", () => {
  const at = along([
    [
      [0, 0],
      [1, 0],
    ],
    [
      [0, 1],
      [0, 2],
      [0, 3],
    ],
  ]);
  assert.deepEqual(at(0.5 / 3), [0.5, 0]);
  assert.deepEqual(
    at(2 / 3).map((v) => Number(v.toFixed(9))),
    [0, 2],
  );
  assert.deepEqual(along([[[1, 2]]])(0.7), [1, 2]);
});

test("half of the broad source is the drawn shape", () => {
  const z = source("broad", [])(1000, new Random(0, "z"));
  const [[from, to]] = [SKETCHES.broad[0]];
  const near = Array.from(
    { length: 1000 },
    (_, i) =>
      Math.abs(z[2 * i + 1] - from[1]) < 0.3 &&
      z[2 * i] > from[0] - 0.3 &&
      z[2 * i] < to[0] + 0.3,
  );
  const share = near.filter(Boolean).length / 1000;
  assert.ok(share >= 0.5 && share < 0.58, `${share}`);
  const even = source("uniform")(1000, new Random(0, "z"));
  assert.ok(even.every((v) => Math.abs(v) <= 2));
});

test("settings go into the address and come back", () => {
  for (const settings of [
    ...Object.keys(DATA).map(defaults),
    {
      ...defaults("moons"),
      lambda: 0.3,
      clamp: null,
      width: 32,
      seed: 12,
      lr: 0.00005,
      rule: "frozen",
      show: [],
      source: "broad",
      distance: "l2",
      idempotence: 0,
    },
    { ...defaults("ring"), show: ["z", "heat"], play: true, view: "plane" },
  ])
    assert.deepEqual(fromHash(toHash(settings)), settings);
});

test("drawings go into the address to a hundredth", () => {
  const drawing = [
    [
      [-2.2, 2.2],
      [0.123, -1.456],
    ],
    [[1, 1]],
  ];
  const hash = toHash({ ...defaults("own"), drawing });
  assert.match(hash, /^#own-drawing-[0-9a-v.]+$/);
  const back = fromHash(hash).drawing;
  assert.deepEqual(
    back.map((stroke) => stroke.length),
    [2, 1],
  );
  back
    .flat(2)
    .forEach((v, i) => assert.ok(Math.abs(v - drawing.flat(2)[i]) < 0.01));
});

test("addresses for people", () => {
  assert.deepEqual(fromHash("#ring-lambda-0.125"), defaults("ring"));
  assert.equal(fromHash("#ring-lambda-0.5").lambda, 0.5);
  assert.equal(toHash(defaults("ring")), "#ring");
  assert.deepEqual(fromHash(""), defaults("ring"));
});

test("the book's addresses say what the lab understands", () => {
  const book = new URL("../../../", import.meta.url);
  const pages = ["notebooks/", "book/"].flatMap((folder) =>
    readdirSync(new URL(folder, book))
      .filter((name) => /\.(ipynb|md)$/.test(name))
      .map((name) => readFileSync(new URL(folder + name, book), "utf8")),
  );
  const found = pages.flatMap((text) => text.match(/lab\.html#[^)]+/g) ?? []);
  assert.ok(found.length >= 5);
  for (const hash of found.map((link) => link.replace("lab.html", "")))
    assert.equal(toHash(fromHash(hash)), hash);
  const kinds = pages.flatMap(
    (text) => text.match(/projector\.html#\w+/g) ?? [],
  );
  for (const kind of kinds) assert.ok(KINDS[kind.split("#")[1]], kind);
});

test("nonsense in an address is left out, and numbers stay in their range", () => {
  const usual = defaults("moons");
  assert.deepEqual(
    fromHash("#moons-lambda-x-width-63-rule-toString-__proto__-1-show"),
    usual,
  );
  assert.deepEqual(fromHash("#constructor"), defaults("ring"));
  assert.deepEqual(fromHash("#moons%"), defaults("ring"));
  assert.equal(fromHash("#ring-lambda-99").lambda, 1.5);
  assert.deepEqual(fromHash("#own-drawing-<script>").drawing, []);
});

test("presets have names of their own and stand in the address", () => {
  const all = [WORKING, ...PRESETS.flatMap(({ list }) => list)];
  assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
  const hashes = all.map(({ set }) =>
    toHash({ ...defaults(set.data), ...set }),
  );
  assert.equal(new Set(hashes).size, all.length);
  all.forEach(({ set }, i) =>
    assert.deepEqual(fromHash(hashes[i]), { ...defaults(set.data), ...set }),
  );
});

test("a training repeats itself, and learns the ring a little", () => {
  const runs = [0, 1].map(() => {
    const trainer = new Trainer(
      { ...defaults("ring"), width: 32, lr: 0.005 },
      { batch: 64 },
    );
    const before = trainer.look(trainer.draw()).means.reconstruction;
    for (let i = 0; i < 200; i++) trainer.step();
    return { trainer, before };
  });
  assert.deepEqual([...runs[0].trainer.average], [...runs[1].trainer.average]);
  const { trainer, before } = runs[0];
  assert.ok(trainer.look(trainer.draw()).means.reconstruction < before / 2);
});

test("the nearest of several", () => {
  assert.deepEqual(nearest(0.9, 0, [0, 0, 1, 0]).index, 1);
});

/** f(z) of a broken training after some steps. */
function broken(id, steps) {
  const { set } = PRESETS.flatMap(({ list }) => list).find((p) => p.id === id);
  const trainer = new Trainer({ ...defaults(set.data), ...set });
  for (let i = 0; i < steps; i++) trainer.step();
  return trainer.network.apply(trainer.draw().z);
}

test("the constant is one point, and without the path through the outer f all runs away", () => {
  const one = broken("constant", 500);
  const first = one.map((_, i) => one[i % 2]);
  assert.ok(one.every((v, i) => Math.abs(v - first[i]) < 0.3));
  assert.ok(broken("nograd", 150).some((v) => Math.abs(v) > 20));
});
