import assert from "node:assert/strict";
import { test } from "node:test";
import { Adam } from "../adam.js";
import { makeArena, hasKernel } from "../gemm.js";
import { Network } from "../network.js";
import { RULES, clamped, objective } from "../objective.js";
import { Random } from "../random.js";

const N = 8;
const ALL = {
  reconstruction: 20,
  idempotence: 20,
  tightness: 10,
  clamp: 1.5,
  distance: "l2",
};

function scene(plain = false) {
  const random = new Random(1, "test");
  const network = new Network({
    width: 16,
    depth: 2,
    rows: 2 * N,
    passes: 2,
    plain,
  });
  network.start(random);
  const points = () =>
    Float32Array.from({ length: 2 * N }, () => random.normal());
  return { network, x: points(), z: points() };
}

/** f in double precision, written once more and plainly: weights as layers of [matrix (outputs, inputs), bias]. */
function doubles(network) {
  const numbers = network.toTorch(network.theta);
  let at = 0;
  return network.layers.map(({ inputs, outputs }) => {
    const W = Array.from({ length: outputs }, () =>
      numbers.slice(at, (at += inputs)),
    );
    return [W, numbers.slice(at, (at += outputs))];
  });
}

function f(layers, y) {
  layers.forEach(([W, b], l) => {
    y = W.map((row, o) => row.reduce((sum, w, i) => sum + w * y[i], b[o]));
    if (l < layers.length - 1) y = y.map((u) => u / (1 + Math.exp(-u)));
  });
  return y;
}

const D = {
  l1: (a, b) => (Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1])) / 2,
  l2: (a, b) => ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / 2,
};

/** The value of a term; inner, outer: layers of the two applications, so that either can be moved alone. */
function value(term, inner, outer, still, { x, z }, { clamp, distance }) {
  const d = D[distance];
  const points = (flat) =>
    Array.from({ length: N }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
  if (term === "reconstruction")
    return points(x).reduce((sum, p) => sum + d(p, f(inner, p)) / N, 0);
  return points(z).reduce((sum, p) => {
    const y = f(inner, p);
    const error = d(y, f(outer, y));
    if (term === "idempotence") return sum + error / N;
    return sum + clamped(error, d(p, f(still, p)), clamp)[0] / N;
  }, 0);
}

for (const distance of ["l1", "l2"])
  for (const clamp of [1.5, null])
    for (const [term, who, sign] of [
      ["reconstruction", "inner", 1],
      ["idempotence", "inner", 1],
      ["tightness", "outer", -1],
    ])
      test(`${term} trains the ${who} f by its slope, ${distance}, clamp ${clamp}`, () => {
        const { network, x, z } = scene();
        const weights = {
          reconstruction: 0,
          idempotence: 0,
          tightness: 0,
          clamp,
          distance,
        };
        objective(network, x, z, { ...weights, [term]: 1 });
        const gradient = network.toTorch(network.gradient);
        const still = doubles(network);
        const random = new Random(2, "direction");
        const direction = still.map(([W, b]) => [
          W.map((row) => row.map(() => random.normal())),
          b.map(() => random.normal()),
        ]);
        const moved = (h) =>
          still.map(([W, b], l) => [
            W.map((row, o) => row.map((w, i) => w + h * direction[l][0][o][i])),
            b.map((v, o) => v + h * direction[l][1][o]),
          ]);
        const at = (h) => {
          const nets = who === "inner" ? [moved(h), still] : [still, moved(h)];
          return value(term, ...nets, still, { x, z }, weights);
        };
        const h = 1e-6;
        const numeric = (sign * (at(h) - at(-h))) / (2 * h);
        const flat = direction.flatMap(([W, b]) => [...W.flat(), ...b]);
        const slope = gradient.reduce((sum, g, i) => sum + g * flat[i], 0);
        assert.ok(Math.abs(slope) > 1e-4, "there is something to compare");
        assert.ok(
          Math.abs(slope - numeric) < 1e-4 * Math.max(1, Math.abs(numeric)),
          `${slope} by gradient, ${numeric} by difference`,
        );
      });

test("WebAssembly and plain JavaScript give the same gradient", () => {
  assert.ok(hasKernel());
  const both = [false, true].map((plain) => {
    const { network, x, z } = scene(plain);
    assert.equal(network.fast, !plain);
    objective(network, x, z, ALL);
    return network.toTorch(network.gradient);
  });
  both[0].forEach((g, i) => assert.ok(Math.abs(g - both[1][i]) < 1e-5));
});

test("products of matrices, transposed and added", () => {
  for (const plain of [false, true]) {
    const arena = makeArena(1000, { plain });
    const random = new Random(3, "product");
    const [m, n, k] = [8, 16, 5];
    const [A, B, C] = [m * k, k * n, m * n].map((size) => arena.floats(size));
    for (const array of [A, B, C])
      array.forEach((_, i) => (array[i] = random.normal()));
    for (const [ar, ac] of [
      [k, 1],
      [1, m],
    ])
      for (const add of [false, true]) {
        const before = C.slice();
        arena.product(C, A, B, m, n, k, ar, ac, add);
        for (let i = 0; i < m; i++)
          for (let j = 0; j < n; j++) {
            let sum = add ? before[i * n + j] : 0;
            for (let p = 0; p < k; p++)
              sum += A[i * ar + p * ac] * B[p * n + j];
            assert.ok(Math.abs(C[i * n + j] - sum) < 1e-5);
          }
      }
  }
});

test("the mistakes differ from the right rule, each in its own way", () => {
  const gradients = Object.keys(RULES).map((rule) => {
    const { network, x, z } = scene();
    network.theta.forEach((w, i) => (network.theta[i] = 3 * w)); // so that the clamp has something to bend
    objective(network, x, z, { ...ALL, rule });
    return network.toTorch(network.gradient);
  });
  for (let a = 0; a < gradients.length; a++)
    for (let b = 0; b < a; b++)
      assert.ok(
        gradients[a].some((g, i) => Math.abs(g - gradients[b][i]) > 1e-4),
      );
});

test("Adam shortens a long gradient and moves by the rate", () => {
  const theta = new Float32Array(4);
  const average = new Float32Array(4);
  const adam = new Adam(4);
  adam.step(theta, Float32Array.of(1e4, -1e4, 0, 1e4), average, 0.1);
  assert.deepEqual(
    [...theta].map((v) => Number(v.toFixed(5))),
    [-0.1, 0.1, 0, -0.1],
  );
  assert.ok(
    Math.abs(average[0] - 0.9 * theta[0]) < 1e-6,
    "decay 1/10 at first",
  );
});

test("padding stays 0", () => {
  const { network, x, z } = scene();
  const average = Float32Array.from(network.theta);
  const adam = new Adam(network.size);
  for (let i = 0; i < 5; i++) {
    objective(network, x, z, ALL);
    adam.step(network.theta, network.gradient, average, 0.01);
  }
  const again = network.fromTorch(network.toTorch(network.theta));
  assert.deepEqual([...again], [...network.theta]);
});
