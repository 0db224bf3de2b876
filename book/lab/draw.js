/** Draws the plane: points, lines, the field and the landscape of drift, on a canvas whose colours are the page's. */
import { SIDE } from "./data.js";

const MAGNIFIED = Math.min(globalThis.devicePixelRatio || 1, 2);
export const TOP = 1.5; // the drift that gets the full colour

/** The page's colours as they are now, light or dark. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(
    [
      "ground",
      "ink",
      "soft",
      "hair",
      "x",
      "z",
      "fz",
      "ffz",
      "drift",
      "action",
    ].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
  );
}

/** Makes a canvas as fine as the screen; returns its context, and its width and height in the page's pixels. */
export function surface(canvas) {
  const { clientWidth, clientHeight } = canvas;
  const [w, h] = [
    Math.round(clientWidth * MAGNIFIED),
    Math.round(clientHeight * MAGNIFIED),
  ];
  if (canvas.width !== w || canvas.height !== h)
    Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(MAGNIFIED, 0, 0, MAGNIFIED, 0, 0);
  context.clearRect(0, 0, clientWidth, clientHeight);
  return { context, width: clientWidth, height: clientHeight };
}

export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.small = document.createElement("canvas"); // the heat map, a pixel for each point of the grid
  }

  begin() {
    const { context, width } = surface(this.canvas);
    this.context = context;
    this.size = width;
    this.colour = colours();
    context.lineCap = "round";
    this.#axes();
  }

  px = (a) => ((a + SIDE) / (2 * SIDE)) * this.size;
  py = (b) => ((SIDE - b) / (2 * SIDE)) * this.size;

  #axes() {
    const { context, size, colour } = this;
    context.strokeStyle = colour.hair;
    context.fillStyle = colour.soft;
    context.font = "12px system-ui, sans-serif";
    context.lineWidth = 1;
    context.beginPath();
    for (const v of [-2, -1, 0, 1, 2]) {
      context.moveTo(this.px(v), 0);
      context.lineTo(this.px(v), size);
      context.moveTo(0, this.py(v));
      context.lineTo(size, this.py(v));
    }
    context.stroke();
    this.#labels();
  }

  #labels() {
    const { context, size } = this;
    for (const v of [-1, 1]) {
      context.fillText(String(v), this.px(v) + 3, size - 4);
      context.fillText(String(v), 3, this.py(v) - 3);
    }
  }

  points(points, name, radius, alpha = 0.85) {
    const { context } = this;
    context.fillStyle = this.colour[name];
    context.globalAlpha = alpha;
    context.beginPath();
    for (let i = 0; i < points.length; i += 2) {
      const [a, b] = [this.px(points[i]), this.py(points[i + 1])];
      context.moveTo(a + radius, b);
      context.arc(a, b, radius, 0, 7);
    }
    context.fill();
    context.globalAlpha = 1;
  }

  lines(from, to, name, alpha = 0.3) {
    const { context } = this;
    context.strokeStyle = this.colour[name];
    context.globalAlpha = alpha;
    context.lineWidth = 1;
    context.beginPath();
    for (let i = 0; i < from.length; i += 2) {
      context.moveTo(this.px(from[i]), this.py(from[i + 1]));
      context.lineTo(this.px(to[i]), this.py(to[i + 1]));
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  /** Arrows at points along moves, times `scale`, no longer than `longest`. */
  arrows(at, moves, name, { scale = 1, longest = Infinity, width = 1.5 } = {}) {
    const { context } = this;
    context.strokeStyle = this.colour[name];
    context.lineWidth = width;
    context.beginPath();
    for (let i = 0; i < at.length; i += 2) {
      const length = Math.hypot(moves[i], moves[i + 1]) * scale;
      if (!(length > 0.01)) continue;
      const cut = (scale * Math.min(length, longest)) / length;
      const [a, b] = [this.px(at[i]), this.py(at[i + 1])];
      const [c, d] = [
        this.px(at[i] + cut * moves[i]),
        this.py(at[i + 1] + cut * moves[i + 1]),
      ];
      const angle = Math.atan2(d - b, c - a);
      const head = Math.min(6, 0.4 * Math.hypot(c - a, d - b));
      context.moveTo(a, b);
      context.lineTo(c, d);
      for (const side of [-0.45, 0.45]) {
        context.moveTo(c, d);
        context.lineTo(
          c - head * Math.cos(angle + side),
          d - head * Math.sin(angle + side),
        );
      }
    }
    context.stroke();
  }

  /** drift: of a square grid of points, row by row from the top left. */
  heat(drift) {
    const side = Math.sqrt(drift.length);
    const { small, context, size, colour } = this;
    Object.assign(small, { width: side, height: side });
    const image = new ImageData(side, side);
    const [r, g, b] = colour.drift
      .match(/\w\w/g)
      .map((pair) => parseInt(pair, 16));
    for (let i = 0; i < drift.length; i++)
      image.data.set([r, g, b, 110 * Math.min(1, drift[i] / TOP)], 4 * i);
    small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(small, 0, 0, size, size);
    context.fillStyle = colour.soft;
    this.#labels();
  }

  /** y, f(y), f²(y), ... as a chain with growing numbers. */
  orbit(path) {
    const { context, colour } = this;
    context.strokeStyle = colour.ink;
    context.lineWidth = 1.5;
    context.beginPath();
    for (let i = 0; i < path.length; i += 2)
      context.lineTo(this.px(path[i]), this.py(path[i + 1]));
    context.stroke();
    context.font = "600 12px system-ui, sans-serif";
    for (let i = 0; i < path.length; i += 2) {
      const [a, b] = [this.px(path[i]), this.py(path[i + 1])];
      context.beginPath();
      context.arc(a, b, i ? 3 : 5, 0, 7);
      context.fillStyle = colour.ground;
      context.fill();
      context.stroke();
    }
    context.fillStyle = colour.ink;
    context.fillText("y", this.px(path[0]) + 8, this.py(path[1]) - 6);
  }

  strokes(list, name) {
    const { context } = this;
    context.strokeStyle = this.colour[name];
    context.lineWidth = 3;
    for (const stroke of list) {
      context.beginPath();
      for (const [a, b] of stroke) context.lineTo(this.px(a), this.py(b));
      if (stroke.length === 1)
        context.lineTo(this.px(stroke[0][0]) + 0.1, this.py(stroke[0][1]));
      context.stroke();
    }
  }

  cross([a, b], name) {
    const { context } = this;
    const [p, q] = [this.px(a), this.py(b)];
    context.strokeStyle = this.colour[name];
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(p - 8, q);
    context.lineTo(p + 8, q);
    context.moveTo(p, q - 8);
    context.lineTo(p, q + 8);
    context.stroke();
  }
}

/** A square grid of points, row by row from the top left, at the centres of its cells. */
export function grid(side) {
  const points = new Float32Array(2 * side * side);
  for (let i = 0; i < side; i++)
    for (let j = 0; j < side; j++) {
      points[2 * (i * side + j)] = (2 * SIDE * (j + 0.5)) / side - SIDE;
      points[2 * (i * side + j) + 1] = SIDE - (2 * SIDE * (i + 0.5)) / side;
    }
  return points;
}
