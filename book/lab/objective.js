/**
 * The objective of chapter 2, and its gradient (ign_core.objective): three terms, of which two are the same number
 * D(f(z), f(f(z))) and train different applications of f.
 *
 *   reconstruction  D(x, f(x))                    made small
 *   idempotence     D(f(z), f_copy(f(z)))         made small by the inner f alone
 *   tightness       D(sg f(z), f(sg f(z)))        made large by the outer f alone, up to a clamp
 */
import { PAD, put } from "./network.js";

/**
 * Who is trained by which term.  outer, inner: the factors of idempotence and of tightness in what the outer and the
 * inner f get.  through: whether idempotence reaches the inner f through the outer one as well.  The others are the
 * common mistakes of chapter 2; `batch` clamps the mean of the batch in place of each sample.
 */
export const RULES = {
  right: { outer: [0, -1], inner: [1, 0], through: true },
  frozen: { outer: [0, 0], inner: [1, 0], through: true },
  outer: { outer: [1, -1], inner: [1, 0], through: true },
  inner: { outer: [0, -1], inner: [1, -1], through: true },
  nodetach: { outer: [1, -1], inner: [1, -1], through: true },
  nograd: { outer: [0, -1], inner: [1, 0], through: false },
  sign: { outer: [0, 1], inner: [1, 0], through: true },
  batch: { outer: [0, -1], inner: [1, 0], through: true, batch: true },
};

/** D of two rows of 2 numbers, and its slope in the second; that in the first is its negative. */
const DISTANCES = {
  l1: {
    of: (a, b) => (Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1])) / 2,
    slope: (a, b) => Math.sign(b - a) / 2,
  },
  l2: {
    of: (a, b) => ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / 2,
    slope: (a, b) => b - a,
  },
};

const FLOOR = Math.sqrt(1.17549435e-38); // of the bound of the clamp: z may be a fixed point already

/** Smooth clamp of tightness, and its slope c; a: the clamp, or null. */
export function clamped(error, limit, a) {
  if (a === null) return [error, 1];
  const bound = Math.max(a * limit, FLOOR);
  const bent = Math.tanh(error / bound);
  return [bound * bent, 1 - bent * bent];
}

/**
 * One look at a batch.  network: a `Network` with two passes; x, z: flat points, as many of each, a multiple of 4.
 * weights: {reconstruction, idempotence, tightness, clamp, distance, rule}.
 *
 * Leaves the gradient of the total in network.gradient.  Returns the means of the three terms, and where everything is
 * and is pushed: fx, fz, ffz, and the forces on them, which point where gradient descent would move them.
 */
export function objective(network, x, z, weights) {
  const {
    reconstruction,
    idempotence,
    tightness,
    clamp,
    distance,
    rule = "right",
  } = weights;
  const D = DISTANCES[distance];
  const who = RULES[rule];
  const n = x.length / 2;
  const [first, second] = network.passes;
  network.gradient.fill(0);
  network.transpose();

  // f once, of x and z together; f twice, of f(z)
  put(first.input, x);
  put(first.input, z, n);
  const f = network.forward(first, 2 * n);
  const fx = taken(f, n, 0);
  const fz = taken(f, n, n);
  put(second.input, fz);
  const ffz = taken(network.forward(second, n), n, 0);

  const means = { reconstruction: 0, idempotence: 0, tightness: 0 };
  const point = (flat, i) => flat.subarray(2 * i, 2 * i + 2);
  const error = new Float32Array(n); // D(f(z), f(f(z)))
  const limit = new Float32Array(n); // D(z, f(z))
  const c = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    means.reconstruction += D.of(point(x, i), point(fx, i)) / n;
    error[i] = D.of(point(fz, i), point(ffz, i));
    limit[i] = D.of(point(z, i), point(fz, i));
    means.idempotence += error[i] / n;
  }
  if (who.batch) {
    const [value, slope] = clamped(mean(error), mean(limit), clamp);
    means.tightness = value;
    c.fill(slope);
  } else {
    for (let i = 0; i < n; i++) {
      const [value, slope] = clamped(error[i], limit[i], clamp);
      means.tightness += value / n;
      c[i] = slope;
    }
  }

  // The outer f.  What comes back to its input serves the inner one, so only the parameters' share is weighed.
  const out2 = new Float32Array(2 * n);
  const share = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    out2[2 * i] = D.slope(fz[2 * i], ffz[2 * i]) / n;
    out2[2 * i + 1] = D.slope(fz[2 * i + 1], ffz[2 * i + 1]) / n;
    share[i] = who.outer[0] * idempotence + who.outer[1] * tightness * c[i];
  }
  network.back[1].fill(0, 0, n * PAD);
  put(network.back[1], out2);
  const reached = taken(
    network.backward(second, network.back[1], n, share, true),
    n,
    0,
  );

  // The inner f, and f(x)
  const out = new Float32Array(4 * n);
  const forces = {
    fx: new Float32Array(2 * n),
    fz: new Float32Array(2 * n),
    ffz: new Float32Array(2 * n),
  };
  for (let q = 0; q < 2 * n; q++) {
    const i = q >> 1;
    out[q] = (reconstruction * D.slope(x[q], fx[q])) / n;
    const factor = who.inner[0] * idempotence + who.inner[1] * tightness * c[i];
    out[2 * n + q] = factor * ((who.through ? reached[q] : 0) - out2[q]);
    forces.fx[q] = -n * out[q];
    forces.fz[q] = -n * out[2 * n + q];
    forces.ffz[q] = -n * share[i] * out2[q];
  }
  network.back[1].fill(0, 0, 2 * n * PAD);
  put(network.back[1], out);
  network.backward(first, network.back[1], 2 * n, null, false);
  return { means, fx, fz, ffz, forces };
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

function taken(rows, n, from) {
  const points = new Float32Array(2 * n);
  for (let i = 0, q = PAD * from; i < n; i++, q += PAD) {
    points[2 * i] = rows[q];
    points[2 * i + 1] = rows[q + 1];
  }
  return points;
}
