/** The pad: drawing by mouse, finger or keys, dark on white paper. */
import { Pen, bindPen, share } from "./pen.js";

const FINE = 280; // the side in which a drawing is made into an image
const MOST = 3000; // points

/** canvas: the pad.  ink(): the width of a line, of FINE.  say(sentence).  changed(picture): after each stroke, or null. */
export class Pad {
  constructor(canvas, { ink, say, changed }) {
    Object.assign(this, { canvas, ink });
    canvas.width = canvas.height = FINE;
    this.pen = new Pen(this, MOST);
    this.pen.changed = (strokes) =>
      changed(strokes.length ? this.picture() : null);
    const drawn = () => this.draw();
    bindPen(canvas, this.pen, { say, drawn, clear: () => this.clear() });
    this.draw();
  }

  clear() {
    this.pen.clear();
    this.draw();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    paint(context, this.pen.strokes, this.ink());
    if (document.activeElement !== this.canvas) return;
    const [x, y] = place(this.pen.place);
    context.strokeStyle = this.pen.down ? "#b5367a" : "#2a62a1";
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x - 10, y);
    context.lineTo(x + 10, y);
    context.moveTo(x, y - 10);
    context.lineTo(x, y + 10);
    context.stroke();
  }

  /** The drawing without the pen, as RGBA pixels. */
  picture() {
    const sheet = document.createElement("canvas");
    sheet.width = sheet.height = FINE;
    const context = sheet.getContext("2d");
    paint(context, this.pen.strokes, this.ink());
    return context.getImageData(0, 0, FINE, FINE);
  }
}

const place = (point) => share(point).map((v) => v * FINE);

function paint(context, strokes, ink) {
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, FINE, FINE);
  Object.assign(context, {
    strokeStyle: "#000000",
    lineWidth: ink,
    lineCap: "round",
    lineJoin: "round",
  });
  for (const stroke of strokes) {
    context.beginPath();
    for (const point of stroke) context.lineTo(...place(point));
    if (stroke.length === 1) {
      const [x, y] = place(stroke[0]);
      context.lineTo(x + 0.1, y); // a dot
    }
    context.stroke();
  }
}
