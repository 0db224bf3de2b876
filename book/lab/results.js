/** What f makes of y, a card for each model: fᵏ(y), where f would move it, and the drifts. */
import { colours } from "./draw.js";
import { distance, pixels } from "./images.js";
import { model } from "./models.js";

const TOP = 0.5; // the difference that gets the full colour

/** "f³(y)", of a letter. */
export function power(k, letter = "y") {
  const digit = "⁰¹²³⁴⁵⁶⁷⁸⁹"[k];
  return k === 0 ? letter : k === 1 ? `f(${letter})` : `f${digit}(${letter})`;
}

/** Shows an image on a canvas, a pixel for each of its own. */
export function show(canvas, y, shape) {
  put(canvas, pixels(y, shape), shape[1]);
}

function put(canvas, bytes, size) {
  if (canvas.width !== size)
    Object.assign(canvas, { width: size, height: size });
  canvas.getContext("2d").putImageData(new ImageData(bytes, size, size), 0, 0);
}

/** |b - a| in the colour of the drift, averaged over the channels. */
function heat(canvas, a, b, [channels, size]) {
  const [red, green, blue] = colours()
    .drift.match(/\w\w/g)
    .map((pair) => parseInt(pair, 16));
  const area = size * size;
  const bytes = new Uint8ClampedArray(4 * area);
  for (let i = 0; i < area; i++) {
    let far = 0;
    for (let c = 0; c < channels; c++)
      far += Math.abs(b[c * area + i] - a[c * area + i]) / channels;
    bytes.set([red, green, blue, 255 * Math.min(1, far / TOP)], 4 * i);
  }
  put(canvas, bytes, size);
}

const element = (name, ...rest) =>
  Object.assign(document.createElement(name), ...rest);

export class Card {
  constructor(name) {
    const { title, kind } = model(name);
    this.name = name;
    this.title = title;
    this.root = element("section", { className: "card", id: `card-${name}` });
    this.root.dataset.kind = kind;
    const heading = element("h3", { textContent: this.title });
    heading.id = `title-${name}`;
    this.root.setAttribute("aria-labelledby", heading.id);
    this.image = element("canvas", { className: "image" });
    this.heat = element("canvas", { className: "image" });
    for (const canvas of [this.image, this.heat])
      canvas.setAttribute("role", "img");
    const pair = element("div", { className: "two" });
    pair.append(this.image, this.heat);
    this.words = element("p");
    this.root.append(heading, pair, this.words);
    this.chain = []; // y, f(y), f(f(y)), ...
  }

  /** Shows f applied k times.  ready: {network, drift of the data}. */
  draw(y, k, { network, drift }) {
    if (this.chain[0] !== y) this.chain = [y];
    while (this.chain.length < k + 2)
      this.chain.push(network.apply(this.chain.at(-1)));
    const [now, next] = this.chain.slice(k, k + 2);
    this.shown = now;
    show(this.image, now, network.shape);
    heat(this.heat, now, next, network.shape);
    this.drifts = Array.from({ length: k + 1 }, (_, i) =>
      distance(this.chain[i], this.chain[i + 1]),
    );
    this.image.setAttribute("aria-label", power(k));
    this.heat.setAttribute("aria-label", `where f moves ${power(k)}`);
    const each = this.drifts
      .map((d, i) => `${power(i)} ${d.toFixed(3)}`)
      .join(", ");
    this.words.textContent = `Drift: ${each}. Mean over its data: ${drift.toFixed(3)}.`;
    return `${this.title}: ${power(k)} drifts by ${this.drifts[k].toFixed(3)}`;
  }

  wait(sentence) {
    this.chain = [];
    this.words.textContent = sentence;
  }
}
