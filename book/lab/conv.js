/**
 * f for images, as ign_core.ConvAutoencoder has it: convolutions of 4 by 4 with stride 2 down to a code, and back.
 * A convolution is a matrix product with the patches of its input, by the kernel of gemm.js.  All sizes are read from
 * the weights.
 *
 * Between layers an image stands as channels of `stride` numbers each, the pixels row by row and then nothing, because the
 * kernel takes columns in eights.
 */
import { makeArena } from "./gemm.js";

const up = (n, step) => Math.ceil(n / step) * step;

/** Convolution with stride 2 and padding 1: side -> side / 2. */
class Down {
  constructor(weight, bias, side) {
    const [outputs, inputs] = weight.shape;
    Object.assign(this, { inputs, outputs, weight, bias, from: side });
    this.side = side / 2;
    this.depth = 16 * inputs;
    this.rows = up(outputs, 4);
    this.stride = up(this.side ** 2, 8);
  }

  settle(arena) {
    const { rows, depth, stride } = this;
    this.matrix = arena.floats(rows * depth);
    this.matrix.set(this.weight.numbers);
    this.patches = arena.floats(depth * stride);
    this.out = arena.floats(rows * stride);
    this.product = arena.product;
  }

  apply(image) {
    const { inputs, outputs, from, side, depth, rows, stride } = this;
    const wide = up(from ** 2, 8);
    let row = 0;
    for (let c = 0; c < inputs; c++)
      for (let ky = 0; ky < 4; ky++)
        for (let kx = 0; kx < 4; kx++, row++)
          for (let y = 0; y < side; y++) {
            const v = 2 * y + ky - 1;
            if (v < 0 || v >= from) continue; // outside there are zeros, which stand there from the beginning
            const source = c * wide + v * from + kx - 1;
            const target = row * stride + y * side;
            const first = kx === 0 ? 1 : 0;
            const last = kx === 3 ? side - 1 : side;
            for (let x = first; x < last; x++)
              this.patches[target + x] = image[source + 2 * x];
          }
    this.product(
      this.out,
      this.matrix,
      this.patches,
      rows,
      stride,
      depth,
      depth,
      1,
      false,
    );
    if (this.bias) addBias(this.out, this.bias.numbers, outputs, stride);
    return this.out;
  }
}

/** Its mirror image, the transposed convolution: side -> 2 side. */
class Up {
  constructor(weight, bias, side) {
    const [inputs, outputs] = weight.shape;
    Object.assign(this, { inputs, outputs, weight, bias, from: side });
    this.side = 2 * side;
    this.rows = 16 * outputs;
    this.wide = up(side ** 2, 8);
    this.stride = up(this.side ** 2, 8);
  }

  settle(arena) {
    this.matrix = arena.floats(this.inputs * this.rows);
    this.matrix.set(this.weight.numbers);
    this.patches = arena.floats(this.rows * this.wide);
    this.out = arena.floats(this.outputs * this.stride);
    this.product = arena.product;
  }

  apply(image) {
    const { inputs, outputs, from, side, rows, wide, stride, out } = this;
    this.product(
      this.patches,
      this.matrix,
      image,
      rows,
      wide,
      inputs,
      1,
      rows,
      false,
    );
    out.fill(0);
    let row = 0;
    for (let c = 0; c < outputs; c++)
      for (let ky = 0; ky < 4; ky++)
        for (let kx = 0; kx < 4; kx++, row++)
          for (let y = 0; y < from; y++) {
            const v = 2 * y + ky - 1;
            if (v < 0 || v >= side) continue;
            const source = row * wide + y * from;
            const target = c * stride + v * side + kx - 1;
            const first = kx === 0 ? 1 : 0;
            const last = kx === 3 ? from - 1 : from;
            for (let x = first; x < last; x++)
              out[target + 2 * x] += this.patches[source + x];
          }
    if (this.bias) addBias(out, this.bias.numbers, outputs, stride);
    return out;
  }
}

/** A linear map of `depth` numbers to `width`.  element(p, j): of its matrix, depth by width; bias(j). */
class Dense {
  constructor(depth, width, element, bias) {
    const columns = up(width, 8);
    Object.assign(this, { depth, width, columns, bias });
    this.weight = new Float32Array(depth * columns);
    for (let p = 0; p < depth; p++)
      for (let j = 0; j < width; j++)
        this.weight[p * columns + j] = element(p, j);
  }

  settle(arena) {
    const { depth, columns, weight } = this;
    this.matrix = arena.floats(depth * columns);
    this.matrix.set(weight);
    this.input = arena.floats(depth);
    this.out = arena.floats(4 * columns);
    this.product = arena.product;
  }

  /** What has been written into `input` -> width numbers. */
  apply() {
    const { depth, width, columns, out } = this;
    // the kernel makes four rows: a step of 0 between them takes the one input for all
    this.product(out, this.input, this.matrix, 4, columns, depth, 0, 1, false);
    if (this.bias) for (let j = 0; j < width; j++) out[j] += this.bias(j);
    return out.subarray(0, width);
  }
}

function addBias(out, bias, channels, stride) {
  for (let c = 0; c < channels; c++)
    for (let i = c * stride; i < (c + 1) * stride; i++) out[i] += bias[c];
}

/** Normalises groups of channels, and applies a ReLU of `slope` below 0; both in place. */
class Activation {
  constructor(norm, channels, side, slope) {
    const pixels = side ** 2;
    Object.assign(this, { norm, channels, pixels, slope });
    this.stride = up(pixels, 8);
    this.groups = norm ? greatest(Math.max(channels >> 3, 1), channels) : 0;
  }

  settle() {}

  apply(image) {
    const { norm, channels, pixels, stride, groups, slope } = this;
    const each = channels / groups;
    for (let g = 0; g < groups; g++) {
      let sum = 0;
      let square = 0;
      for (let c = g * each; c < (g + 1) * each; c++)
        for (let i = c * stride; i < c * stride + pixels; i++) {
          sum += image[i];
          square += image[i] ** 2;
        }
      const mean = sum / (each * pixels);
      const deviation = Math.sqrt(square / (each * pixels) - mean ** 2 + 1e-5);
      for (let c = g * each; c < (g + 1) * each; c++) {
        const scale = norm.weight.numbers[c] / deviation;
        const shift = norm.bias.numbers[c] - mean * scale;
        for (let i = c * stride; i < c * stride + pixels; i++)
          image[i] = image[i] * scale + shift;
      }
    }
    for (let i = 0; i < channels * stride; i++)
      if (image[i] < 0) image[i] *= slope;
    return image;
  }
}

const greatest = (a, b) => (b ? greatest(b, a % b) : a);

export class Autoencoder {
  /** weights: as weights.js loads them.  plain: without the kernel. */
  constructor({ recipe, tensors }, { plain = false } = {}) {
    const { channels, size } = recipe;
    const length = channels * size * size;
    Object.assign(this, { channels, size, length, shape: [channels, size] });
    const beside = "f.encoder.linear.weight" in tensors;
    const encoder = part(tensors, beside ? "f.encoder.deep." : "f.encoder.");
    const decoder = part(tensors, beside ? "f.decoder.0.deep." : "f.decoder.");

    let side = size;
    const down = encoder.slice(0, -1).flatMap(({ weight, bias, norm }) => {
      const layer = new Down(weight, bias, side);
      side = layer.side;
      return [layer, new Activation(norm, layer.outputs, side, 0.2)];
    });
    const toCode = encoder.at(-1);
    const [code, deepest] = toCode.weight.shape;
    const numbers = deepest * side * side;
    const pixels = { deepest, area: side ** 2, stride: up(side ** 2, 8) };
    this.toCode = new Dense(
      numbers,
      code,
      (p, j) => toCode.weight.numbers[j * numbers + p],
      (j) => toCode.bias.numbers[j],
    );
    const fromCode = decoder[0];
    this.fromCode = new Dense(
      code,
      numbers,
      (p, j) => fromCode.weight.numbers[p * numbers + j],
      fromCode.bias &&
        ((j) => fromCode.bias.numbers[Math.floor(j / pixels.area)]),
    );
    const first = new Activation(decoder[0].norm, deepest, side, 0);
    const ups = decoder.slice(1).flatMap(({ weight, bias, norm }, i) => {
      const layer = new Up(weight, bias, side);
      side = layer.side;
      if (i === decoder.length - 2) return [layer]; // the tanh is at the end of all
      return [layer, new Activation(norm, layer.outputs, side, 0)];
    });
    Object.assign(this, { code, down, pixels, up: [first, ...ups] });

    if (beside) {
      const into = tensors["f.encoder.linear.weight"];
      const outOf = tensors["f.decoder.0.linear.weight"];
      const small = into.shape[1];
      this.small = Math.round(Math.sqrt(small / channels));
      this.linearTo = new Dense(
        small,
        code,
        (p, j) => into.numbers[j * small + p],
        (j) => tensors["f.encoder.linear.bias"].numbers[j],
      );
      this.linearFrom = new Dense(
        code,
        small,
        (p, j) => outOf.numbers[j * code + p],
        (j) => tensors["f.decoder.0.linear.bias"].numbers[j],
      );
    }
    const layers = [
      ...down,
      this.toCode,
      this.fromCode,
      ...this.up,
      ...(beside ? [this.linearTo, this.linearFrom] : []),
    ];
    this.map = up(size ** 2, 8);
    let floats = 0;
    const measure = { floats: (n) => ((floats += up(n, 4)), NOTHING) };
    this.settle(measure, layers);
    const arena = makeArena(floats, { plain });
    this.fast = arena.fast;
    this.settle(arena, layers);
    for (const layer of layers) delete layer.weight; // the arena has its own
  }

  settle(arena, layers) {
    this.image = arena.floats(this.channels * this.map);
    this.deep = arena.floats(this.pixels.deepest * this.pixels.stride);
    for (const layer of layers) layer.settle(arena);
  }

  /** An image, channels * size * size numbers, row by row -> f of it, fresh. */
  apply(y) {
    const { channels, size, map, pixels } = this;
    const area = size ** 2;
    for (let c = 0; c < channels; c++)
      this.image.set(y.subarray(c * area, (c + 1) * area), c * map);
    let image = this.image;
    for (const layer of this.down) image = layer.apply(image);
    for (let c = 0; c < pixels.deepest; c++)
      for (let i = 0; i < pixels.area; i++)
        this.toCode.input[c * pixels.area + i] = image[c * pixels.stride + i];
    const code = this.toCode.apply();
    if (this.linearTo) {
      shrink(y, channels, size, this.small, this.linearTo.input);
      const more = this.linearTo.apply();
      for (let j = 0; j < code.length; j++) code[j] += more[j];
    }

    this.fromCode.input.set(code);
    const begun = this.fromCode.apply();
    for (let c = 0; c < pixels.deepest; c++)
      for (let i = 0; i < pixels.area; i++)
        this.deep[c * pixels.stride + i] = begun[c * pixels.area + i];
    image = this.deep;
    for (const layer of this.up) image = layer.apply(image);
    const fy = new Float32Array(channels * area);
    for (let c = 0; c < channels; c++)
      fy.set(image.subarray(c * map, c * map + area), c * area);
    if (this.linearFrom) {
      this.linearFrom.input.set(code);
      addEnlarged(this.linearFrom.apply(), channels, this.small, size, fy);
    }
    for (let i = 0; i < fy.length; i++) fy[i] = Math.tanh(fy[i]);
    return fy;
  }
}

const NOTHING = { set() {} }; // stands for an array while room is counted

/** The convolutions of one half of f, in their order, each with its bias and the normalisation after it. */
function part(tensors, start) {
  return Object.keys(tensors)
    .filter((key) => key.startsWith(start) && tensors[key].shape.length === 4)
    .map((key) => Number(key.slice(start.length).split(".")[0]))
    .sort((a, b) => a - b)
    .map((index) => {
      const of = (place, name) => tensors[`${start}${place}.${name}`];
      const after = of(index + 1, "weight");
      return {
        weight: of(index, "weight"),
        bias: of(index, "bias"),
        norm: after && { weight: after, bias: of(index + 1, "bias") },
      };
    });
}

/** Means over squares: channels * size * size -> channels * small * small numbers, into `out`. */
function shrink(y, channels, size, small, out) {
  const factor = size / small;
  out.fill(0);
  for (let c = 0; c < channels; c++)
    for (let v = 0; v < size; v++)
      for (let u = 0; u < size; u++)
        out[
          (c * small + Math.floor(v / factor)) * small + Math.floor(u / factor)
        ] += y[(c * size + v) * size + u] / factor ** 2;
}

/** Where the pixels of a larger side lie between those of a smaller one, as PyTorch's bilinear interpolation has it. */
function between(small, size) {
  return Array.from({ length: size }, (_, i) => {
    const place = Math.max(((i + 0.5) * small) / size - 0.5, 0);
    const low = Math.floor(place);
    return { low, high: Math.min(low + 1, small - 1), share: place - low };
  });
}

function addEnlarged(y, channels, small, size, out) {
  const places = between(small, size);
  for (let c = 0; c < channels; c++)
    for (let v = 0; v < size; v++) {
      const { low, high, share } = places[v];
      const above = (c * small + low) * small;
      const below = (c * small + high) * small;
      for (let u = 0; u < size; u++) {
        const { low: left, high: right, share: s } = places[u];
        const top = y[above + left] * (1 - s) + y[above + right] * s;
        const bottom = y[below + left] * (1 - s) + y[below + right] * s;
        out[(c * size + v) * size + u] += top * (1 - share) + bottom * share;
      }
    }
}
