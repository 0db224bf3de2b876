/** The plane under the reader's hand: the orbit of a point, and drawing, by pointer and by keys. */
import { SKETCHES } from "./data.js";
import { Picture } from "./draw.js";
import { find, lab, say } from "./lab.js";
import { Pen, arrow, pointAt } from "./pen.js";

export const picture = new Picture(find("plane"));
export const pen = new Pen(picture);
const { canvas } = picture;

export function endPen() {
  if (!pen.on) return;
  pen.end();
  find("pen").hidden = true;
  canvas.classList.remove("drawing");
  lab.dirty = true;
}

function lookAt(point) {
  lab.place = point;
  lab.dirty = true;
}

canvas.onpointerdown = (event) => {
  if (!pen.on) return lookAt(pointAt(canvas, event));
  canvas.setPointerCapture(event.pointerId);
  pen.put(pointAt(canvas, event));
  lab.dirty = true;
};
canvas.onpointermove = (event) => {
  find("probe").setAttribute("aria-live", "off");
  if (pen.on) pen.move(pointAt(canvas, event));
  else if (event.pointerType === "mouse") lookAt(pointAt(canvas, event));
  lab.dirty = true;
};
canvas.onpointerup = canvas.onpointercancel = () => pen.on && pen.lift();
canvas.onpointerleave = (event) => {
  if (!pen.on && event.pointerType === "mouse") lookAt(null);
};
canvas.onkeydown = (event) => {
  const way = arrow(event);
  if (way) {
    find("probe").setAttribute("aria-live", lab.running ? "off" : "polite"); // while f moves, it would never be silent
    const from = pen.on ? pen.place : (lab.place ?? [0, 0]);
    const next = from.map((v, i) => v + way[i]);
    if (pen.on) pen.move(next);
    else lookAt(next);
  } else if (pen.on && event.key === " ") say(pen.turn());
  else if (event.key === "Escape") {
    if (pen.on) find("done").click();
    else lookAt(null);
  } else return;
  event.preventDefault();
  lab.dirty = true;
};

/** Drawing begins with `stop`, of whatever is under way, and each stroke ends with `changed`. */
export function bindSketch({ stop, changed }) {
  function beginPen(which) {
    stop();
    const given = lab.settings[which];
    pen.begin(given, which === "drawing" ? "x" : "z");
    pen.which = which;
    pen.given = given.length
      ? given
      : SKETCHES[which === "drawing" ? "own" : "broad"];
    find("pen").hidden = false;
    canvas.classList.add("drawing");
    canvas.focus();
    say("Drawing. What you draw replaces the sketch that is there.");
    lab.dirty = true;
  }

  pen.changed = (strokes) => {
    lab.settings[pen.which] = structuredClone(strokes);
    changed();
  };
  find("draw-data").onclick = () => beginPen("drawing");
  find("draw-source").onclick = () => beginPen("shape");
  find("clear").onclick = () => pen.clear();
  find("done").onclick = () => {
    endPen();
    say("Done. Press Play to learn it.");
    find("play").focus();
  };
}
