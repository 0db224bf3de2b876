/**
 * The source z of the models of images, ign_core.FourierSource: each frequency of each channel has a normal real and
 * imaginary part with the data's mean and deviation.  White numbers e, as many as the half spectrum holds, make a draw.
 */
export class FourierSource {
  /** tensors: "source.mean" and "source.std", each (2, channels, size, size / 2 + 1). */
  constructor(tensors) {
    const { shape, numbers } = tensors["source.mean"];
    const [, channels, height, half] = shape;
    const width = height; // all images are square
    Object.assign(this, { channels, height, width, half });
    this.mean = numbers;
    this.std = tensors["source.std"].numbers;
    this.numbers = numbers.length;
    this.paired = width % 2 === 0 ? [0, width / 2] : [0]; // columns that hold both halves of their own pairs
    const turns = (n) => {
      const angles = Array.from({ length: n }, (_, i) => (2 * Math.PI * i) / n);
      return { cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
    };
    this.down = turns(height);
    this.along = turns(width);
  }

  /** White numbers, of a generator as random.js has it. */
  white(random) {
    return Float32Array.from({ length: this.numbers }, () => random.normal());
  }

  /** White numbers with 0 wherever a draw takes none, so that their length is that of what counts: whiten(fromWhite(e)). */
  counted(e) {
    const { channels, height, half, paired, std } = this;
    const kept = e.map((v, i) => (std[i] > 0 ? v : 0));
    const part = channels * height * half;
    for (let c = 0; c < channels; c++)
      for (const column of paired) {
        const at = (row) => (c * height + row) * half + column;
        for (let row = Math.floor(height / 2) + 1; row < height; row++)
          kept[at(row)] = kept[part + at(row)] = 0;
        for (const row of height % 2 ? [0] : [0, height / 2])
          kept[part + at(row)] = 0; // its own conjugate: real
      }
    return kept;
  }

  /** The draw that white numbers make: channels * height * width numbers. */
  fromWhite(e) {
    const { channels, height, width, half, mean, std, down, along } = this;
    const part = channels * height * half;
    const real = new Float64Array(height * half);
    const imaginary = new Float64Array(height * half);
    const [re, im] = [new Float64Array(height), new Float64Array(height)];
    const z = new Float32Array(channels * height * width);
    for (let c = 0; c < channels; c++) {
      const start = c * height * half;
      for (let i = 0; i < height * half; i++) {
        real[i] = mean[start + i] + std[start + i] * e[start + i];
        imaginary[i] =
          mean[part + start + i] + std[part + start + i] * e[part + start + i];
      }
      for (const column of this.paired)
        for (let row = Math.floor(height / 2) + 1; row < height; row++) {
          const twin = (height - row) * half + column;
          real[row * half + column] = real[twin];
          imaginary[row * half + column] = -imaginary[twin];
        }
      for (let k = 0; k < half; k++) {
        for (let v = 0; v < height; v++) {
          let [a, b] = [0, 0];
          for (let row = 0; row < height; row++) {
            const [p, q] = [real[row * half + k], imaginary[row * half + k]];
            const turn = (row * v) % height;
            a += p * down.cos[turn] - q * down.sin[turn];
            b += p * down.sin[turn] + q * down.cos[turn];
          }
          re[v] = a;
          im[v] = b;
        }
        // columns between the first and the last stand for their mirror images too
        const twice = this.paired.includes(k) ? 1 : 2;
        const share = twice / (height * width);
        for (let v = 0; v < height; v++)
          for (let u = 0; u < width; u++) {
            const turn = (k * u) % width;
            z[(c * height + v) * width + u] +=
              share * (re[v] * along.cos[turn] - im[v] * along.sin[turn]);
          }
      }
    }
    return z;
  }
}

/** The point at t in [0, 1] on the arc between two lists of numbers: directions follow it, lengths a straight line. */
export function arc(a, b, t) {
  const length = (v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  const mixed = (p, q) => a.map((v, i) => p * v + q * b[i]);
  const [from, to] = [length(a), length(b)].map((l) => Math.max(l, 1e-12));
  const cosine = a.reduce((sum, v, i) => sum + (v / from) * (b[i] / to), 0);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const far = (1 - t) * from + t * to;
  if (Math.sin(angle) <= 1e-4)
    return mixed(((1 - t) * far) / from, (t * far) / to);
  const part = (share) => (Math.sin(share * angle) / Math.sin(angle)) * far;
  return mixed(part(1 - t) / from, part(t) / to);
}
