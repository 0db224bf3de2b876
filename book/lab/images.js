/**
 * Images as f takes them, channels * size * size numbers in [-1, 1], row by row: made of pictures of one's own as
 * ignbook.data.prepare does it, and corrupted as ignbook/projector.py does it.
 */

/** Half to even, as Python rounds. */
export function even(v) {
  const low = Math.floor(v);
  if (v - low !== 0.5) return Math.round(v);
  return low % 2 === 0 ? low : low + 1;
}

const byte = (v) => Math.min(255, Math.max(0, Math.floor(v + 0.5)));

// --------------------------------------------------------------------------------------------------- pictures to images

/** How far a filter reaches, in pixels of the smaller image, and its value at a distance. */
const LINEAR = { reach: 1, at: (d) => Math.max(1 - d, 0) };
const CUBIC = {
  reach: 2,
  at(d) {
    if (d >= 2) return 0;
    return d < 1
      ? (1.5 * d - 2.5) * d * d + 1
      : ((-0.5 * d + 2.5) * d - 4) * d + 2; // a = -1/2, Pillow's
  },
};

/** Weights of the pixels from..from+weights.length that make each pixel of a new side, with antialiasing. */
function taps(from, length, start, side, filter) {
  const scale = length / side;
  const stretch = Math.max(scale, 1);
  const reach = filter.reach * stretch;
  return Array.from({ length: side }, (_, i) => {
    const centre = start + (i + 0.5) * scale;
    const first = Math.max(Math.floor(centre - reach + 0.5), 0);
    const last = Math.min(Math.floor(centre + reach + 0.5), from);
    const weights = [];
    for (let p = first; p < last; p++)
      weights.push(filter.at(Math.abs(p - centre + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}

/**
 * One channel, {data, width, height}, of which the box {left, top, wide, high} is taken -> {data, width, height}.
 * rounded: to bytes, after each of the two directions, as Pillow does it; tall images begin with the columns.
 */
function resized(image, box, width, height, filter, rounded) {
  if (image.height > image.width) {
    const { left, top, wide, high } = box;
    const turned = { left: top, top: left, wide: high, high: wide };
    return flipped(
      resized(flipped(image), turned, height, width, filter, rounded),
    );
  }
  const round = rounded ? byte : (v) => v;
  const across = taps(image.width, box.wide, box.left, width, filter);
  const half = new Float64Array(image.height * width);
  for (let y = 0; y < image.height; y++)
    across.forEach(({ first, weights }, x) => {
      let sum = 0;
      for (let p = 0; p < weights.length; p++)
        sum += weights[p] * image.data[y * image.width + first + p];
      half[y * width + x] = round(sum);
    });
  const data = new Float64Array(height * width);
  taps(image.height, box.high, box.top, height, filter).forEach(
    ({ first, weights }, y) => {
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let p = 0; p < weights.length; p++)
          sum += weights[p] * half[(first + p) * width + x];
        data[y * width + x] = round(sum);
      }
    },
  );
  return { data, width, height };
}

function flipped({ data, width, height }) {
  const turned = new Float64Array(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      turned[x * height + y] = data[y * width + x];
  return { data: turned, width: height, height: width };
}

const whole = (image) => ({
  left: 0,
  top: 0,
  wide: image.width,
  high: image.height,
});

/** RGBA pixels, {data, width, height} -> an image of f's kind.  Error: a sentence, if nothing is drawn on it. */
export function prepare(picture, { data, channels, size }) {
  if (data === "celeba64" || channels === 3)
    return photograph(picture, channels, size);
  const pixels = drawing(grey(picture), BOXES[data] ?? 28);
  const y = new Float32Array(size * size).fill(-1);
  const spare = Math.floor((size - 28) / 2);
  for (let v = 0; v < 28; v++)
    for (let u = 0; u < 28; u++)
      y[(v + spare) * size + u + spare] = pixels[v * 28 + u] / 127.5 - 1;
  return y;
}

const BOXES = { mnist: 20, fashion: 28 }; // the side that a drawing fills, of 28 pixels

/** As Pillow's "L". */
function grey({ data, width, height }) {
  const light = new Float64Array(width * height);
  for (let i = 0; i < light.length; i++)
    light[i] = Math.floor(
      (19595 * data[4 * i] +
        38470 * data[4 * i + 1] +
        7471 * data[4 * i + 2] +
        32768) /
        65536,
    );
  return { data: light, width, height };
}

/** The square in the middle of a picture, at the model's size. */
function photograph(picture, channels, size) {
  const { width, height } = picture;
  const side = Math.min(width, height);
  const box = {
    left: (width - side) / 2,
    top: (height - side) / 2,
    wide: side,
    high: side,
  };
  const y = new Float32Array(channels * size * size);
  for (let c = 0; c < channels; c++) {
    const one = new Float64Array(width * height);
    for (let i = 0; i < one.length; i++) one[i] = picture.data[4 * i + c];
    const image = { data: one, width, height };
    const small = resized(image, box, size, size, CUBIC, true);
    for (let i = 0; i < size * size; i++)
      y[c * size * size + i] = small.data[i] / 127.5 - 1;
  }
  return y;
}

/** What is drawn on a grey picture, as MNIST has it: 28 * 28 bytes, light on dark, the centre of mass in the middle. */
function drawing({ data, width, height }, box) {
  const border = [];
  for (let x = 0; x < width; x++)
    border.push(data[x], data[(height - 1) * width + x]);
  for (let y = 0; y < height; y++)
    border.push(data[y * width], data[y * width + width - 1]);
  const paper = sorted(border)[Math.floor((border.length - 1) / 2)];
  let [least, most] = [Infinity, -Infinity];
  for (const v of data) [least, most] = [Math.min(least, v), Math.max(most, v)];
  const light = paper > (least + most) / 2;
  const apart = sorted(border.map((v) => Math.abs(v - paper)));
  const place = 0.75 * (apart.length - 1);
  const low = Math.floor(place);
  const quartile =
    apart[low] +
    (place - low) * (apart[Math.min(low + 1, apart.length - 1)] - apart[low]);
  const shade = 1.5 * quartile; // by which paper differs from paper
  const ink = data.map((v) => (light ? paper - v : v - paper) - shade);
  const darkest = ink.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!(darkest > Math.max(16, 4 * shade)))
    throw new Error(
      "Nothing on this image stands out from its border; take one with some margin around what is drawn.",
    );

  const enough = 0.05 * darkest + 2 * shade;
  let [top, bottom, left, right] = [height, -1, width, -1];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (ink[y * width + x] > enough) {
        [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
        [left, right] = [Math.min(left, x), Math.max(right, x)];
      }
  const cut = { width: right - left + 1, height: bottom - top + 1 };
  cut.data = new Float64Array(cut.width * cut.height);
  for (let y = 0; y < cut.height; y++)
    for (let x = 0; x < cut.width; x++)
      cut.data[y * cut.width + x] = Math.max(
        ink[(top + y) * width + left + x],
        0,
      );
  const longest = Math.max(cut.width, cut.height);
  const [wide, high] = [cut.width, cut.height].map((side) =>
    Math.max(even((side * box) / longest), 1),
  );
  const small = resized(cut, whole(cut), wide, high, LINEAR, false);
  const peak = small.data.reduce((a, b) => Math.max(a, b));

  let [sum, across, down] = [0, 0, 0];
  small.data.forEach((v, i) => {
    sum += v;
    across += v * (i % wide);
    down += v * Math.floor(i / wide);
  });
  const start = (moment, side) =>
    Math.min(Math.max(even(14 - moment / sum), 0), 28 - side);
  const [x0, y0] = [start(across, wide), start(down, high)];
  const pixels = new Float32Array(28 * 28);
  small.data.forEach((v, i) => {
    const [x, y] = [i % wide, Math.floor(i / wide)];
    pixels[(y0 + y) * 28 + x0 + x] = even((255 * v) / peak);
  });
  return pixels;
}

const sorted = (list) => Float64Array.from(list).sort();

// --------------------------------------------------------------------------------------------------------- corruptions

/** name -> {title, low, high, step, usual: its strength; random: whether chance has a part in it; apply} */
export const CORRUPTIONS = {
  none: { title: "none", apply: (y) => y },
  noise: {
    title: "noise",
    says: "standard deviation",
    ...{ low: 0.05, high: 1, step: 0.05, usual: 0.45, random: true },
    apply: (y, shape, sigma, random) =>
      y.map((v) => cut(v + sigma * random.normal())),
  },
  grey: {
    title: "grey",
    says: "share",
    ...{ low: 0, high: 1, step: 0.1, usual: 1 },
    apply: (y, shape, share) =>
      blend(y, spread(luminance(y, shape), shape), share),
  },
  mask: {
    title: "erase a square",
    says: "side, a share of the image’s",
    ...{ low: 0.1, high: 0.8, step: 0.05, usual: 0.4, random: true },
    apply: (y, shape, side, random) => {
      const wide = even(side * shape[1]);
      const free = shape[1] - wide + 1;
      const [top, left] = [0, 0].map(() => Math.floor(random.uniform() * free));
      return erased(y, shape, wide, top, left);
    },
  },
  sketch: {
    title: "sketch filter",
    says: "width of the blur in pixels",
    ...{ low: 3, high: 41, step: 2, usual: 21 },
    apply: sketched,
  },
  blur: {
    title: "blur",
    says: "σ in pixels",
    ...{ low: 0.5, high: 6, step: 0.5, usual: 2 },
    apply: (y, shape, sigma) =>
      blurred(y, shape, 2 * Math.ceil(3 * sigma) + 1, sigma),
  },
};

const cut = (v) => Math.min(1, Math.max(-1, v));
const blend = (a, b, share) => a.map((v, i) => v + share * (b[i] - v));

/** One channel of light, by the weights of torchvision's rgb_to_grayscale. */
function luminance(y, [channels, size]) {
  if (channels === 1) return y;
  const area = size * size;
  return Float32Array.from(
    { length: area },
    (_, i) => 0.2989 * y[i] + 0.587 * y[area + i] + 0.114 * y[2 * area + i],
  );
}

/** One channel laid over all. */
function spread(light, [channels]) {
  const y = new Float32Array(channels * light.length);
  for (let c = 0; c < channels; c++) y.set(light, c * light.length);
  return y;
}

/** A grey square of `wide` pixels, its corner at (top, left). */
export function erased(y, [channels, size], wide, top, left) {
  const out = Float32Array.from(y);
  for (let c = 0; c < channels; c++)
    for (let v = top; v < top + wide; v++)
      out.fill(
        0,
        (c * size + v) * size + left,
        (c * size + v) * size + left + wide,
      );
  return out;
}

/** Grey wherever a round brush, `wide` of the side across, has passed along strokes of points [right, down], shares of the side. */
export function wiped(y, [channels, size], strokes, wide) {
  const out = Float32Array.from(y);
  const area = size * size;
  const reach = (wide * size) / 2;
  const near = (a, b) => [
    Math.max(0, Math.floor(Math.min(a, b) - reach)),
    Math.min(size - 1, Math.ceil(Math.max(a, b) + reach)),
  ];
  for (const stroke of strokes)
    stroke.forEach((point, k) => {
      const [from, to] = [stroke[Math.max(k - 1, 0)], point].map((end) =>
        end.map((v) => v * size),
      );
      const [left, right] = near(from[0], to[0]); // no other pixel can be reached
      const [top, bottom] = near(from[1], to[1]);
      for (let v = top; v <= bottom; v++)
        for (let u = left; u <= right; u++)
          if (apart([u + 0.5, v + 0.5], from, to) <= reach)
            for (let c = 0; c < channels; c++) out[c * area + v * size + u] = 0;
    });
  return out;
}

/** From a place to the line between two others. */
function apart(at, a, b) {
  const way = b.map((v, i) => v - a[i]);
  const long = way[0] ** 2 + way[1] ** 2;
  const along = (at[0] - a[0]) * way[0] + (at[1] - a[1]) * way[1];
  const t = long && Math.min(1, Math.max(0, along / long));
  return Math.hypot(at[0] - a[0] - t * way[0], at[1] - a[1] - t * way[1]);
}

/** Light divided by its blur: flat parts turn white, edges stay (paper, section 4.3). */
function sketched(y, shape, kernel) {
  const light = luminance(y, shape).map((v) => (v + 1) / 2);
  const smooth = blurred(light, [1, shape[1]], kernel, 0.15 * kernel + 0.35);
  const lines = light.map(
    (v, i) =>
      2 * Math.min(1, Math.max(0, v / Math.max(smooth[i], 1 / 255))) - 1,
  );
  return spread(lines, shape);
}

/** Gaussian blur by a kernel of so many pixels; the border is mirrored. */
function blurred(y, [channels, size], kernel, sigma) {
  const reach = (kernel - 1) / 2;
  const weights = Array.from({ length: kernel }, (_, i) =>
    Math.exp(-0.5 * ((i - reach) / sigma) ** 2),
  );
  const sum = weights.reduce((a, b) => a + b);
  const mirrored = (i) => {
    const far = Math.abs(i);
    return far < size ? far : 2 * (size - 1) - far;
  };
  const pass = (image, step, other) => {
    const out = new Float32Array(image.length);
    for (let line = 0; line < size; line++)
      for (let i = 0; i < size; i++) {
        let total = 0;
        for (let k = 0; k < kernel; k++)
          total +=
            weights[k] * image[line * other + mirrored(i + k - reach) * step];
        out[line * other + i * step] = total / sum;
      }
    return out;
  };
  const out = new Float32Array(y.length);
  const area = size * size;
  for (let c = 0; c < channels; c++)
    out.set(
      pass(pass(y.subarray(c * area, (c + 1) * area), 1, size), size, 1),
      c * area,
    );
  return out;
}

// ------------------------------------------------------------------------------------------------------------- to look at

/** Mean absolute difference, the distance D of the drift. */
export function distance(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i] - b[i]);
  return sum / a.length;
}

/** RGBA bytes of an image. */
export function pixels(y, [channels, size]) {
  const area = size * size;
  const out = new Uint8ClampedArray(4 * area);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++)
      out[4 * i + c] = (y[(c % channels) * area + i] + 1) * 127.5;
    out[4 * i + 3] = 255;
  }
  return out;
}
