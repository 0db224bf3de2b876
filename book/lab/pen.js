/**
 * Drawing by mouse, finger or keys; what is drawn are strokes, lists of [y1, y2].  A canvas of any size shows the square in
 * which each of the two is from -SIDE to SIDE.
 */
import { SIDE } from "./data.js";

const APART = 0.06; // points of a stroke are no closer than this
const MOST = 400; // points, so that they fit into an address

export class Pen {
  /** changed(strokes): to be set; called whenever a stroke has ended. */
  constructor(picture, most = MOST) {
    Object.assign(this, {
      picture,
      most,
      on: false,
      down: false,
      place: [0, 0],
      strokes: [],
    });
  }

  begin(strokes, name) {
    Object.assign(this, {
      on: true,
      down: false,
      place: [0, 0],
      strokes: structuredClone(strokes),
      name,
    });
  }

  end() {
    this.lift();
    this.on = false;
  }

  clear() {
    this.down = false;
    this.strokes = [];
    this.changed(this.strokes);
  }

  put(place) {
    this.down = true;
    this.place = place;
    this.strokes.push([place]);
  }

  move(place) {
    this.place = place.map((v) => Math.min(SIDE, Math.max(-SIDE, v)));
    if (!this.down) return;
    const stroke = this.strokes.at(-1);
    const [a, b] = stroke.at(-1);
    const far = Math.hypot(this.place[0] - a, this.place[1] - b) >= APART;
    if (far && this.strokes.flat().length < this.most) stroke.push(this.place);
  }

  lift() {
    if (!this.down) return;
    this.down = false;
    this.changed(this.strokes);
  }

  /** Down if it was up, and the other way; what to say of it. */
  turn() {
    if (this.down) this.lift();
    else this.put(this.place);
    return this.down ? "The pen is down." : "The pen is up.";
  }

  draw() {
    this.picture.strokes(this.strokes, this.name);
    this.picture.cross(this.place, "ink");
  }
}

/** A point of the square as [right, down], shares of a canvas's side. */
export const share = ([a, b]) => [
  (a + SIDE) / (2 * SIDE),
  (SIDE - b) / (2 * SIDE),
];

/** Where in the square a pointer is. */
export function pointAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) / box.width) * 2 * SIDE - SIDE,
    SIDE - ((event.clientY - box.top) / box.height) * 2 * SIDE,
  ];
}

/** The way that an arrow key goes, three times as far with shift; null for other keys. */
export function arrow({ key, shiftKey }) {
  const far = shiftKey ? 0.3 : 0.1;
  return (
    {
      ArrowLeft: [-far, 0],
      ArrowRight: [far, 0],
      ArrowUp: [0, far],
      ArrowDown: [0, -far],
    }[key] ?? null
  );
}

/** Lets a pen draw on a canvas of its own.  drawn(): after whatever changes what is to be seen.  clear(): by the delete key. */
export function bindPen(canvas, pen, { say, drawn, clear }) {
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen.put(pointAt(canvas, event));
    drawn();
  };
  canvas.onpointermove = (event) => {
    if (!pen.down) return;
    pen.move(pointAt(canvas, event));
    drawn();
  };
  canvas.onpointerup = canvas.onpointercancel = () => pen.lift();
  canvas.onkeydown = (event) => {
    const way = arrow(event);
    if (way) pen.move(pen.place.map((v, i) => v + way[i]));
    else if (event.key === " ") say(pen.turn());
    else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    event.preventDefault();
    drawn();
  };
  canvas.onfocus = canvas.onblur = drawn;
}

export function unbindPen(canvas) {
  for (const on of ["pointerdown", "pointermove", "pointerup", "pointercancel"])
    canvas[`on${on}`] = null;
  canvas.onkeydown = canvas.onfocus = canvas.onblur = null;
}
