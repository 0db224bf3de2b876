/** Shapes of the plane to learn, as ignbook.data has them, a shape drawn by hand, and the sources of z. */

export const SIDE = 2.2; // the plane is shown from -SIDE to SIDE
const TURN = 2 * Math.PI;
const STD = 0.08; // of each of the eight Gaussians
const TOLERANCE = 0.1; // a point is on a curve if it is no farther off than this
const QUANTILE = 0.01; // ... and on a density if no less likely than all but this share of real samples

export const DATA = {
  ring: "ring",
  moons: "two moons",
  spiral: "spiral",
  gaussians: "eight Gaussians",
  own: "your own",
};
export const SOURCES = {
  gaussian: "Gaussian",
  uniform: "uniform",
  broad: "broad: half of it drawn",
};

const ringAt = (t) => [Math.cos(TURN * t), Math.sin(TURN * t)];
const moonAt = (t) => {
  const side = t < 0.5 ? 1 : -1;
  const angle = TURN * (t % 0.5);
  return [side * (Math.cos(angle) - 0.5), side * (Math.sin(angle) - 0.25)];
};
const spiralAt = (t) => {
  const u = Math.sqrt(t); // so that the points spread along the arc
  const r = 0.15 + 1.2 * u;
  return [r * Math.cos(TURN * 1.75 * u), r * Math.sin(TURN * 1.75 * u)];
};

/** What shows before anything is drawn: the reader's shape is a heart, the source's a bar across the top. */
export const SKETCHES = {
  own: [
    Array.from({ length: 25 }, (_, i) => {
      const t = (TURN * i) / 24;
      const y =
        13 * Math.cos(t) -
        5 * Math.cos(2 * t) -
        2 * Math.cos(3 * t) -
        Math.cos(4 * t);
      return [(16 * Math.sin(t) ** 3) / 13, (y + 2) / 13];
    }),
  ],
  broad: [
    [
      [-1.8, 1.8],
      [1.8, 1.8],
    ],
  ],
};

/**
 * A data set.  strokes: of the reader's own, lists of [y1, y2].
 * sample(n, random): flat points; on(y): how many of flat points are on the support, as a list of booleans;
 * modes: flat centres to count coverage by.
 */
export function dataset(name, strokes) {
  if (name === "gaussians") return gaussians();
  const at =
    { ring: ringAt, moons: moonAt, spiral: spiralAt }[name] ??
    along(strokes?.length ? strokes : SKETCHES.own);
  const curve = flat(1024, (i) => at((i + 0.5) / 1024)); // close enough to measure distances by
  return {
    name,
    sample: (n, random) => flat(n, () => at(random.uniform())),
    on: (y) => near(y, curve, TOLERANCE),
    modes: flat(32, (i) => at(name === "ring" ? i / 32 : (i + 0.5) / 32)),
  };
}

function gaussians() {
  const modes = flat(8, (i) => ringAt(i / 8));
  const limit = STD * Math.sqrt(-2 * Math.log(QUANTILE)); // of a Gaussian's radius: all but that share are within
  return {
    name: "gaussians",
    sample: (n, random) =>
      flat(n, () => {
        const i = Math.floor(8 * random.uniform());
        return [
          modes[2 * i] + STD * random.normal(),
          modes[2 * i + 1] + STD * random.normal(),
        ];
      }),
    on: (y) => near(y, modes, limit),
    modes,
  };
}

/** z, n points of it.  strokes: the second shape of the broad source, of which half of z comes, a little blurred. */
export function source(name, strokes) {
  if (name === "uniform")
    return (n, random) =>
      flat(n, () => [4 * random.uniform() - 2, 4 * random.uniform() - 2]);
  const gaussian = (random) => [random.normal(), random.normal()];
  if (name !== "broad") return (n, random) => flat(n, () => gaussian(random));
  const at = along(strokes?.length ? strokes : SKETCHES.broad);
  return (n, random) =>
    flat(n, (i) => {
      if (i % 2 === 0) return gaussian(random);
      const [a, b] = at(random.uniform());
      return [a + 0.05 * random.normal(), b + 0.05 * random.normal()];
    });
}

/** Strokes as one curve over [0, 1), at even speed; a dot counts as a short stroke. */
export function along(strokes) {
  const pieces = [];
  let total = 0;
  for (const stroke of strokes) {
    stroke.forEach((to, i) => {
      if (i === 0 && stroke.length > 1) return;
      const from = stroke[Math.max(i - 1, 0)];
      total += Math.max(Math.hypot(to[0] - from[0], to[1] - from[1]), 0.02);
      pieces.push({ from, to, end: total });
    });
  }
  return (t) => {
    const s = t * total;
    let low = 0;
    let high = pieces.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pieces[middle].end > s) high = middle;
      else low = middle + 1;
    }
    const begin = low ? pieces[low - 1].end : 0;
    const { from, to, end } = pieces[low];
    const u = (s - begin) / (end - begin);
    return [from[0] + u * (to[0] - from[0]), from[1] + u * (to[1] - from[1])];
  };
}

function flat(n, point) {
  const points = new Float32Array(2 * n);
  for (let i = 0; i < n; i++) points.set(point(i), 2 * i);
  return points;
}

function near(y, centres, limit) {
  const found = new Array(y.length / 2);
  for (let i = 0; i < found.length; i++)
    found[i] = nearest(y[2 * i], y[2 * i + 1], centres).square <= limit * limit;
  return found;
}

export function nearest(a, b, centres) {
  let square = Infinity;
  let index = 0;
  for (let j = 0; j < centres.length; j += 2) {
    const d = (a - centres[j]) ** 2 + (b - centres[j + 1]) ** 2;
    if (d < square) {
      square = d;
      index = j / 2;
    }
  }
  return { square, index };
}
