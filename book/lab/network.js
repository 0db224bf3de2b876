/**
 * f: points of the plane to points of the plane, `depth` hidden layers of `width` SiLU units (ign_core.MLP), by hand.
 *
 * Every layer is padded with zeros to a multiple of 8, the kernel's tile, so a point takes 8 numbers of which 2 are used.
 * Padded weights get gradients of 0 and stay 0.  All parameters stand in one flat array: for each layer its matrix,
 * (inputs, outputs), and its bias.
 */
import { makeArena } from "./gemm.js";

export const PAD = 8;
const padded = (n) => Math.ceil(n / PAD) * PAD;

/** Where each layer's parameters lie in a flat array, and how many there are. */
export function layout(width, depth) {
  const true_ = [2, ...Array(depth).fill(width), 2];
  const layers = [];
  let size = 0;
  for (let l = 0; l <= depth; l++) {
    const [inputs, outputs] = [true_[l], true_[l + 1]];
    const [rows, columns] = [padded(inputs), padded(outputs)];
    layers.push({
      inputs,
      outputs,
      rows,
      columns,
      weight: size,
      bias: size + rows * columns,
    });
    size += rows * columns + columns;
  }
  return { layers, size };
}

export class Network {
  /** rows: the largest batch that it will be applied to; passes: how many such batches are kept for going back. */
  constructor({
    width = 64,
    depth = 3,
    rows = 512,
    passes = 1,
    plain = false,
  }) {
    Object.assign(this, { width, depth, rows }, layout(width, depth));
    const widest = Math.max(
      ...this.layers.map((l) => Math.max(l.rows, l.columns)),
    );
    const pass =
      rows * (PAD + this.layers.reduce((sum, l) => sum + 2 * l.columns, 0));
    const room = 4 * this.size + passes * pass + 4 * rows * widest + 4096;
    this.arena = makeArena(room, { plain });
    this.fast = this.arena.fast;
    this.theta = this.arena.floats(this.size);
    this.gradient = this.arena.floats(this.size);
    this.transposed = this.arena.floats(this.size);
    this.passes = Array.from({ length: passes }, () => this.#pass());
    this.back = [0, 1, 2].map(() => this.arena.floats(rows * widest));
  }

  #pass() {
    const { arena, rows, layers } = this;
    return {
      input: arena.floats(rows * PAD),
      values: layers.map((l) => arena.floats(rows * l.columns)),
      slopes: layers.slice(0, -1).map((l) => arena.floats(rows * l.columns)), // of SiLU, at each unit
    };
  }

  matrix(flat, l) {
    const { weight, bias } = this.layers[l];
    return flat.subarray(weight, bias);
  }

  bias(flat, l) {
    const { bias, columns } = this.layers[l];
    return flat.subarray(bias, bias + columns);
  }

  /** Weights as PyTorch starts them: even within one over the root of the number of inputs. */
  start(random) {
    this.theta.fill(0);
    for (const { inputs, outputs, columns, weight, bias } of this.layers) {
      const bound = 1 / Math.sqrt(inputs);
      const draw = () => bound * (2 * random.uniform() - 1);
      for (let i = 0; i < inputs; i++)
        for (let o = 0; o < outputs; o++)
          this.theta[weight + i * columns + o] = draw();
      for (let o = 0; o < outputs; o++) this.theta[bias + o] = draw();
    }
  }

  /** Flat parameters from PyTorch's order, (outputs, inputs) and bias for each layer. */
  fromTorch(numbers) {
    const flat = new Float32Array(this.size);
    let at = 0;
    for (const { inputs, outputs, columns, weight, bias } of this.layers) {
      for (let o = 0; o < outputs; o++)
        for (let i = 0; i < inputs; i++)
          flat[weight + i * columns + o] = numbers[at++];
      for (let o = 0; o < outputs; o++) flat[bias + o] = numbers[at++];
    }
    return flat;
  }

  toTorch(flat) {
    const numbers = [];
    for (const { inputs, outputs, columns, weight, bias } of this.layers) {
      for (let o = 0; o < outputs; o++)
        for (let i = 0; i < inputs; i++)
          numbers.push(flat[weight + i * columns + o]);
      for (let o = 0; o < outputs; o++) numbers.push(flat[bias + o]);
    }
    return numbers;
  }

  /** f of the first `n` rows of a pass's input; n a multiple of 4.  Returns the rows of f, 8 numbers each. */
  forward(pass, n) {
    let input = pass.input;
    this.layers.forEach(({ rows, columns }, l) => {
      const out = pass.values[l];
      const bias = this.bias(this.theta, l);
      for (let i = 0; i < n; i++) out.set(bias, i * columns);
      this.arena.product(
        out,
        input,
        this.matrix(this.theta, l),
        n,
        columns,
        rows,
        rows,
        1,
        true,
      );
      if (l < this.depth) silu(out, pass.slopes[l], n * columns);
      input = out;
    });
    return input;
  }

  /** The transposed matrices, which going back needs; once for each change of the weights. */
  transpose() {
    this.layers.forEach(({ rows, columns, weight }) => {
      const { theta, transposed } = this;
      for (let i = 0; i < rows; i++)
        for (let o = 0; o < columns; o++)
          transposed[weight + o * rows + i] = theta[weight + i * columns + o];
    });
  }

  /**
   * Go back through a pass of `n` rows.  out: (n, 8), the slope of a loss in f's outputs; it is overwritten.
   * share: (n,) or null, what of each row the parameters get, added to `gradient`; the slope in the input, which is
   * returned if `wanted`, is never weighed.
   */
  backward(pass, out, n, share, wanted) {
    let above = out;
    for (let l = this.depth; l >= 0; l--) {
      const { rows, columns } = this.layers[l];
      const below = l ? pass.values[l - 1] : pass.input;
      const owed = share
        ? weighed(above, share, this.back[2], n, columns)
        : above;
      this.arena.product(
        this.matrix(this.gradient, l),
        below,
        owed,
        rows,
        columns,
        n,
        1,
        rows,
        true,
      );
      const bias = this.bias(this.gradient, l);
      for (let i = 0, q = 0; i < n; i++)
        for (let o = 0; o < columns; o++) bias[o] += owed[q++];
      if (!l && !wanted) return null;
      const next = above === this.back[0] ? this.back[1] : this.back[0];
      const W = this.matrix(this.transposed, l);
      this.arena.product(next, above, W, n, rows, columns, columns, 1, false);
      if (l) {
        const slopes = pass.slopes[l - 1];
        for (let q = 0, end = n * rows; q < end; q++) next[q] *= slopes[q];
      }
      above = next;
    }
    return above;
  }

  /** f of points [y1, y2, y1, y2, ...], any number of them: a new array of the same form. */
  apply(points) {
    const total = points.length / 2;
    const moved = new Float32Array(points.length);
    const [pass] = this.passes;
    for (let from = 0; from < total; from += this.rows) {
      const n = Math.min(this.rows, total - from);
      put(pass.input, points.subarray(2 * from, 2 * (from + n)));
      const out = this.forward(pass, Math.ceil(n / 4) * 4);
      for (let i = 0; i < n; i++) {
        moved[2 * (from + i)] = out[PAD * i];
        moved[2 * (from + i) + 1] = out[PAD * i + 1];
      }
    }
    return moved;
  }
}

/** Points into padded rows, from row `at` on. */
export function put(rows, points, at = 0) {
  for (let i = 0, q = PAD * at; i < points.length; i += 2, q += PAD) {
    rows[q] = points[i];
    rows[q + 1] = points[i + 1];
  }
}

function silu(u, slope, count) {
  for (let q = 0; q < count; q++) {
    const s = 1 / (1 + Math.exp(-u[q]));
    const h = u[q] * s;
    slope[q] = s + h * (1 - s);
    u[q] = h;
  }
}

function weighed(rows, share, into, n, columns) {
  for (let i = 0, q = 0; i < n; i++) {
    const w = share[i];
    for (let o = 0; o < columns; o++, q++) into[q] = w * rows[q];
  }
  return into;
}
