import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { Autoencoder } from "../conv.js";
import { FourierSource, arc } from "../fourier.js";
import {
  CORRUPTIONS,
  distance,
  erased,
  even,
  prepare,
  wiped,
} from "../images.js";
import { KINDS, model } from "../models.js";
import { Random } from "../random.js";
import { power } from "../results.js";
import { bytesOf, unpacked } from "../weights.js";

const near = (a, b, far, what) => {
  assert.equal(a.length, b.length, what);
  a.forEach((v, i) =>
    assert.ok(Math.abs(v - b[i]) < far, `${what ?? ""} ${i}: ${v}, ${b[i]}`),
  );
};

/** A small f with all of its parts: side 20 -> 10 -> 5, `channels`, width 8, a code of 6 numbers, and a linear path or none. */
function scene({ channels = 3, linear = true, norm = true } = {}) {
  const random = new Random(3, "weights");
  const tensors = {};
  const add = (name, ...shape) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const numbers = Float32Array.from(
      { length: count },
      () => 0.15 * random.normal(),
    );
    tensors[name] = { shape, numbers };
  };
  const normal = (name, of) =>
    norm && (add(`${name}.weight`, of), add(`${name}.bias`, of));
  const [down, up] = linear
    ? ["f.encoder.deep", "f.decoder.0.deep"]
    : ["f.encoder", "f.decoder"];
  add(`${down}.0.weight`, 8, channels, 4, 4);
  add(`${down}.0.bias`, 8);
  add(`${down}.2.weight`, 16, 8, 4, 4);
  if (!norm) add(`${down}.2.bias`, 16);
  normal(`${down}.3`, 16);
  add(`${down}.5.weight`, 6, 16, 5, 5);
  add(`${down}.5.bias`, 6);
  add(`${up}.0.weight`, 6, 16, 5, 5);
  if (!norm) add(`${up}.0.bias`, 16);
  normal(`${up}.1`, 16);
  add(`${up}.3.weight`, 16, 8, 4, 4);
  if (!norm) add(`${up}.3.bias`, 8);
  normal(`${up}.4`, 8);
  add(`${up}.6.weight`, 8, channels, 4, 4);
  add(`${up}.6.bias`, channels);
  if (linear) {
    add("f.encoder.linear.weight", 6, channels * 25);
    add("f.encoder.linear.bias", 6);
    add("f.decoder.0.linear.weight", channels * 25, 6);
    add("f.decoder.0.linear.bias", channels * 25);
  }
  const y = Float32Array.from({ length: channels * 400 }, () =>
    random.normal(),
  );
  return { recipe: { channels, size: 20 }, tensors, y, down, up };
}

/** The same f once more, plainly, in double precision: images are lists of channels, these lists of rows. */
function plainly({ recipe: { channels, size }, tensors, y, down, up }) {
  const of = (name) => tensors[name];
  const grid = (count, side, value) =>
    Array.from({ length: count }, (_, c) =>
      Array.from({ length: side }, (_, v) =>
        Array.from({ length: side }, (_, u) => value(c, v, u)),
      ),
    );
  const strided = (image, name) => {
    const { shape, numbers } = of(`${name}.weight`);
    const [outputs, inputs] = shape;
    const side = image[0].length;
    return grid(outputs, side / 2, (o, v, u) => {
      let sum = of(`${name}.bias`)?.numbers[o] ?? 0;
      for (let i = 0; i < inputs; i++)
        for (let a = 0; a < 4; a++)
          for (let b = 0; b < 4; b++)
            sum +=
              numbers[((o * inputs + i) * 4 + a) * 4 + b] *
              (image[i][2 * v + a - 1]?.[2 * u + b - 1] ?? 0);
      return sum;
    });
  };
  const spread = (image, name) => {
    const { shape, numbers } = of(`${name}.weight`);
    const outputs = shape[1];
    const side = image[0].length;
    const bias = of(`${name}.bias`)?.numbers;
    const out = grid(outputs, 2 * side, (o) => bias?.[o] ?? 0);
    image.forEach((rows, i) =>
      rows.forEach((row, v) =>
        row.forEach((value, u) => {
          for (let o = 0; o < outputs; o++)
            for (let a = 0; a < 4; a++)
              for (let b = 0; b < 4; b++)
                if (out[o][2 * v + a - 1]?.[2 * u + b - 1] !== undefined)
                  out[o][2 * v + a - 1][2 * u + b - 1] +=
                    value * numbers[((i * outputs + o) * 4 + a) * 4 + b];
        }),
      ),
    );
    return out;
  };
  const active = (image, name, slope) => {
    const groups = Math.max(image.length >> 3, 1);
    const each = image.length / groups;
    return image.map((rows, c) => {
      const first = c - (c % each);
      const all = image.slice(first, first + each).flat(2);
      const mean = all.reduce((a, b) => a + b) / all.length;
      const variance =
        all.reduce((a, b) => a + (b - mean) ** 2, 0) / all.length;
      return rows.map((row) =>
        row.map((value) => {
          const weight = of(`${name}.weight`)?.numbers[c];
          const normed = weight
            ? ((value - mean) / Math.sqrt(variance + 1e-5)) * weight +
              of(`${name}.bias`).numbers[c]
            : value;
          return normed < 0 ? slope * normed : normed;
        }),
      );
    });
  };
  const image = grid(channels, size, (c, v, u) => y[(c * size + v) * size + u]);
  let deep = active(strided(image, `${down}.0`), "none", 0.2);
  deep = active(strided(deep, `${down}.2`), `${down}.3`, 0.2).flat(2);
  const code = Array.from({ length: 6 }, (_, j) =>
    deep.reduce(
      (sum, v, p) =>
        sum + v * of(`${down}.5.weight`).numbers[j * deep.length + p],
      of(`${down}.5.bias`).numbers[j],
    ),
  );
  const linear = of("f.encoder.linear.weight");
  const small = grid(channels, 5, (c, v, u) => {
    let sum = 0;
    for (let a = 0; a < 4; a++)
      for (let b = 0; b < 4; b++) sum += image[c][4 * v + a][4 * u + b];
    return sum / 16;
  }).flat(2);
  if (linear)
    code.forEach((_, j) => {
      code[j] += of("f.encoder.linear.bias").numbers[j];
      small.forEach(
        (v, p) => (code[j] += v * linear.numbers[j * small.length + p]),
      );
    });
  let begun = grid(16, 5, (c, v, u) =>
    code.reduce(
      (sum, value, j) =>
        sum +
        value * of(`${up}.0.weight`).numbers[(j * 16 + c) * 25 + v * 5 + u],
      of(`${up}.0.bias`)?.numbers[c] ?? 0,
    ),
  );
  begun = active(begun, `${up}.1`, 0);
  begun = active(spread(begun, `${up}.3`), `${up}.4`, 0);
  const made = spread(begun, `${up}.6`);
  if (linear) {
    const coarse = grid(channels, 5, (c, v, u) => {
      const p = (c * 5 + v) * 5 + u;
      return code.reduce(
        (sum, value, j) =>
          sum + value * of("f.decoder.0.linear.weight").numbers[p * 6 + j],
        of("f.decoder.0.linear.bias").numbers[p],
      );
    });
    const at = (i) => Math.min(4, Math.max(0, (i + 0.5) / 4 - 0.5)); // beyond the border there is the border
    made.forEach((rows, c) =>
      rows.forEach((row, v) =>
        row.forEach((_, u) => {
          for (const a of [0, 1, 2, 3, 4])
            for (const b of [0, 1, 2, 3, 4])
              row[u] +=
                coarse[c][a][b] *
                Math.max(0, 1 - Math.abs(at(v) - a)) *
                Math.max(0, 1 - Math.abs(at(u) - b));
        }),
      ),
    );
  }
  return made.flat(2).map(Math.tanh);
}

test("f is what its definition says, with the kernel and without", () => {
  for (const settings of [
    {},
    { linear: false },
    { norm: false },
    { channels: 1, linear: false },
  ])
    for (const plain of [false, true]) {
      const given = scene(settings);
      const f = new Autoencoder(given, { plain });
      assert.equal(f.fast, !plain);
      const expected = plainly(given);
      for (let again = 0; again < 2; again++)
        near(
          [...f.apply(given.y)],
          expected,
          1e-5,
          `${JSON.stringify(settings)} ${plain}`,
        );
    }
});

function source(channels, size) {
  const half = size / 2 + 1;
  const random = new Random(4, "source");
  const shape = [2, channels, size, half];
  const numbers = () =>
    Float32Array.from({ length: 2 * channels * size * half }, () =>
      Math.abs(random.normal()),
    );
  const made = new FourierSource({
    "source.mean": { shape, numbers: numbers() },
    "source.std": { shape, numbers: numbers() },
  });
  return { made, e: made.white(random), random };
}

test("the spectrum of a draw is what its white numbers say", () => {
  const [channels, size] = [2, 6];
  const { made, e } = source(channels, size);
  const z = made.fromWhite(e);
  const half = size / 2 + 1;
  for (let c = 0; c < channels; c++)
    for (let row = 0; row < size; row++)
      for (let column = 0; column < half; column++) {
        let [re, im] = [0, 0];
        for (let v = 0; v < size; v++)
          for (let u = 0; u < size; u++) {
            const angle = (-2 * Math.PI * (row * v + column * u)) / size;
            re += z[(c * size + v) * size + u] * Math.cos(angle);
            im += z[(c * size + v) * size + u] * Math.sin(angle);
          }
        const paired = column === 0 || column === size / 2;
        const upper = paired && row > size / 2;
        const own = paired && row % (size / 2) === 0;
        const at = (r) => (c * size + r) * half + column;
        const r = upper ? size - row : row;
        const part = channels * size * half;
        const value = (i) => made.mean[i] + made.std[i] * e[i];
        near([re], [value(at(r))], 1e-4);
        near(
          [im],
          [own ? 0 : (upper ? -1 : 1) * value(part + at(r))],
          1e-4,
          `${row} ${column}`,
        );
      }
});

test("the numbers that count make the same draw, as many as it has pixels", () => {
  const { made, e } = source(3, 8);
  const counted = made.counted(e);
  near(made.fromWhite(counted), made.fromWhite(e), 1e-6);
  assert.equal(counted.filter((v) => v !== 0).length, 3 * 8 * 8);
});

test("an arc begins and ends at its ends, and stays on their sphere", () => {
  const { e, made, random } = source(1, 8);
  const [a, b] = [e, made.white(random)].map((v) => v.map((x) => x));
  const length = (v) => Math.hypot(...v);
  near(arc(a, b, 0), a, 1e-5);
  near(arc(a, b, 1), b, 1e-5);
  const between = length(arc(a, b, 0.5));
  assert.ok(Math.abs(between - (length(a) + length(b)) / 2) < 1e-3);
  near(
    arc(
      a,
      a.map((v) => 3 * v),
      0.5,
    ),
    a.map((v) => 2 * v),
    1e-5,
  );
});

test("weights are read as Python has packed them", async () => {
  assert.deepEqual([...bytesOf("NM&qnZy<L")], [...Buffer.from("Hello w")]); // base64.b85encode(b"Hello w")
  const values = [1, -2.5, 0, 2 ** -24, 65504, 0.333251953125];
  const halves = [0x3c00, 0xc100, 0, 1, 0x7bff, 0x3555];
  const bytes = [...halves.map((h) => h & 255), ...halves.map((h) => h >> 8)];
  const data = encoded(deflateRawSync(Buffer.from(bytes)));
  const tensors = [
    ["a", [2, 2]],
    ["b", [2]],
  ];
  const read = await unpacked({ recipe: {}, drift: 1, tensors, data });
  assert.deepEqual([...read.tensors.a.numbers], values.slice(0, 4));
  assert.deepEqual([...read.tensors.b.numbers], values.slice(4));
});

/** Base 85, as base64.b85encode. */
function encoded(bytes) {
  const alphabet =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
  const spare = (4 - (bytes.length % 4)) % 4;
  const padded = Buffer.concat([bytes, Buffer.alloc(spare)]);
  let text = "";
  for (let i = 0; i < padded.length; i += 4) {
    let word = padded.readUInt32BE(i);
    let five = "";
    for (let j = 0; j < 5; j++) {
      five = alphabet[word % 85] + five;
      word = Math.floor(word / 85);
    }
    text += five;
  }
  return text.slice(0, text.length - spare);
}

test("numbers are rounded as Python rounds them", () => {
  assert.deepEqual([0.5, 1.5, 2.5, 2.4, 2.6].map(even), [0, 2, 2, 2, 3]);
});

/** A dark square on light paper, or the reverse: RGBA. */
function square({ width, height, left, top, side, paper = 255, ink = 0 }) {
  const data = new Uint8ClampedArray(4 * width * height).fill(paper);
  for (let y = top; y < top + side; y++)
    data.fill(ink, 4 * (y * width + left), 4 * (y * width + left + side));
  return { data, width, height };
}

test("a drawing is found, whatever its place, size and colours, and put into the middle", () => {
  const digits = { data: "mnist", channels: 1, size: 32 };
  const place = { width: 90, height: 120, left: 5, top: 70, side: 30 };
  const y = prepare(square(place), digits);
  assert.equal(y.filter((v) => v > 0.9).length, 20 * 20);
  assert.ok(y[32 * 16 + 16] === 1 && y[0] === -1);
  near(prepare(square({ ...place, paper: 10, ink: 240 }), digits), y, 1e-6);
  const elsewhere = { width: 50, height: 50, left: 20, top: 3, side: 20 };
  near(prepare(square(elsewhere), digits), y, 1e-6);
  const clothes = prepare(square(place), { ...digits, data: "fashion" });
  assert.equal(clothes.filter((v) => v > 0.9).length, 28 * 28);
  assert.throws(
    () => prepare(square({ ...place, side: 0 }), digits),
    /stands out/,
  );
});

test("of a photograph the square in the middle is taken", () => {
  const recipe = { data: "celeba64", channels: 3, size: 8 };
  const place = { width: 60, height: 36, left: 6, top: 0, side: 48 };
  near(prepare(square(place), recipe), new Float32Array(192).fill(-1), 1e-6);
  const light = prepare(square({ ...place, left: 0, side: 3 }), recipe);
  near(light, new Float32Array(192).fill(1), 1e-6);
});

test("corruptions at no strength change nothing, and chance is a seed's", () => {
  const random = new Random(1);
  const shape = [3, 16];
  const y = Float32Array.from({ length: 768 }, () => 2 * random.uniform() - 1);
  near(CORRUPTIONS.none.apply(y, shape), y, 1e-9);
  near(CORRUPTIONS.grey.apply(y, shape, 0), y, 1e-9);
  near(erased(y, shape, 0, 3, 3), y, 1e-9);
  for (const name of ["noise", "mask"]) {
    const made = [5, 5, 6].map((seed) =>
      CORRUPTIONS[name].apply(y, shape, 0.4, new Random(seed)),
    );
    assert.deepEqual(made[0], made[1]);
    assert.ok(distance(made[0], y) > 0.01);
    assert.notDeepEqual(made[0], made[2]);
    assert.ok(made[0].every((v) => Math.abs(v) <= 1));
  }
  const flat = new Float32Array(768).fill(0.3);
  near(CORRUPTIONS.blur.apply(flat, shape, 2), flat, 1e-6);
  near(
    CORRUPTIONS.sketch.apply(flat, shape, 21),
    flat.map(() => 1),
    1e-6,
  );
});

test("models have one name each, and powers of f are written as such", () => {
  const names = Object.values(KINDS).flatMap(({ models }) =>
    models.map(({ name }) => name),
  );
  assert.equal(new Set(names).size, names.length);
  assert.equal(model("faces-settled").kind, "faces");
  assert.throws(() => model("nobody"), /no model nobody/);
  assert.deepEqual(
    [0, 1, 3].map((k) => power(k)),
    ["y", "f(y)", "f³(y)"],
  );
});

test("a brush leaves grey along its way, as a count of every pixel has it", () => {
  const shape = [2, 20];
  const y = new Float32Array(800).fill(0.7);
  const strokes = [
    [
      [0.1, 0.5],
      [0.6, 0.5],
    ],
    [[0.9, 0.1]], // a dot
  ];
  const out = wiped(y, shape, strokes, 0.2);
  for (let c = 0; c < 2; c++)
    for (let v = 0; v < 20; v++)
      for (let u = 0; u < 20; u++) {
        const [right, down] = [u + 0.5, v + 0.5];
        const nearest = Math.min(12, Math.max(2, right));
        const far = Math.min(
          Math.hypot(right - nearest, down - 10),
          Math.hypot(right - 18, down - 2),
        );
        const expected = far <= 2 ? 0 : Math.fround(0.7);
        assert.equal(out[c * 400 + v * 20 + u], expected, `${c} ${v} ${u}`);
      }
  assert.deepEqual(wiped(y, shape, [], 0.2), y);
});
