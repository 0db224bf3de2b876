/**
 * The weights of a model: a script beside the page, made by book/weights.py, which is loaded when the model is first asked
 * for.  A script, because pages from disk may read nothing else.
 */
const ALPHABET =
  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
const asked = new Map(); // name -> a promise of its weights
const given = new Map(); // name -> what its script gave

/** Where the scripts are: beside the page, or, in a clone, in the folder that book/weights.py fills. */
const folder = () =>
  /\/book\/lab\/[^/]*$/.test(location.pathname) ? "../_weights/" : "";

/** {recipe, drift, tensors: name -> {shape, numbers}}.  Error: a sentence that says what to do. */
export function load(name) {
  if (!asked.has(name)) {
    const promise = fetched(name).then(unpacked);
    asked.set(name, promise);
    promise.catch(() => asked.delete(name)); // it may be there the next time
  }
  return asked.get(name);
}

function fetched(name) {
  globalThis.IGN_WEIGHTS = (key, content) => given.set(key, content);
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `${folder()}lab-weights-${name}.js`;
    const end = () => {
      script.remove();
      if (given.has(name)) resolve(given.get(name));
      else
        reject(
          new Error(
            `The file lab-weights-${name}.js isn’t there; build the book with “make html”, or copy the file to where this page is.`,
          ),
        );
      given.delete(name);
    };
    script.onload = script.onerror = end;
    document.head.append(script);
  });
}

/** What a script gave, as numbers. */
export async function unpacked({ recipe, drift, tensors, data }) {
  if (!globalThis.DecompressionStream)
    throw new Error(
      "This browser can’t unpack the weights; open the page in a browser of 2023 or later.",
    );
  const stream = new Blob([bytesOf(data)])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"));
  const halves = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = halves.length / 2;
  const numbers = new Float32Array(count);
  for (let i = 0; i < count; i++)
    numbers[i] = HALF[halves[i] | (halves[count + i] << 8)];
  const named = {};
  let at = 0;
  for (const [name, shape] of tensors) {
    const size = shape.reduce((a, b) => a * b, 1);
    named[name] = { shape, numbers: numbers.subarray(at, (at += size)) };
  }
  return { recipe, drift, tensors: named };
}

/** Base 85 as Python's base64.b85encode writes it: five characters for four bytes. */
export function bytesOf(text) {
  const digit = new Uint8Array(128);
  for (let i = 0; i < 85; i++) digit[ALPHABET.charCodeAt(i)] = i;
  const spare = (5 - (text.length % 5)) % 5;
  const padded = text + "~".repeat(spare);
  const bytes = new Uint8Array((padded.length / 5) * 4);
  for (let i = 0, o = 0; i < padded.length; i += 5) {
    let word = 0;
    for (let j = 0; j < 5; j++)
      word = word * 85 + digit[padded.charCodeAt(i + j)];
    bytes[o++] = word >>> 24;
    bytes[o++] = word >>> 16;
    bytes[o++] = word >>> 8;
    bytes[o++] = word;
  }
  return bytes.subarray(0, bytes.length - spare);
}

/** All numbers of half precision, by their 16 bits. */
const HALF = Float32Array.from({ length: 65536 }, (_, bits) => {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
});
