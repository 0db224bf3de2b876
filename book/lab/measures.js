/** Precision and coverage of f(z), as chapter 4 defines them (experiments/coverage_2d.py). */
import { nearest } from "./data.js";

const SHARE = 0.1; // a mode is covered if it gets this share of what is due to it

/** precision: share of points on the support; coverage: share of the modes that have some of them. */
export function measures(shape, points) {
  const n = points.length / 2;
  const m = shape.modes.length / 2;
  const counts = new Array(m).fill(0);
  const on = shape.on(points);
  let right = 0;
  for (let i = 0; i < n; i++) {
    if (!on[i]) continue;
    right += 1;
    counts[nearest(points[2 * i], points[2 * i + 1], shape.modes).index] += 1;
  }
  return {
    precision: right / n,
    coverage: counts.filter((count) => count * m >= SHARE * n).length / m,
  };
}
