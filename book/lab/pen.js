/** Drawing on the plane by mouse, finger or keys; what is drawn are strokes, lists of [y1, y2]. */
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

  draw() {
    this.picture.strokes(this.strokes, this.name);
    this.picture.cross(this.place, "ink");
  }
}
