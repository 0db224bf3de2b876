/** The eraser: a round brush on y, by mouse, finger or keys, which leaves grey, the middle of the range. */
import { Pen, bindPen, share, unbindPen } from "./pen.js";

const MOST = 1000; // points

export class Eraser {
  wide = 0.2; // of the image's side

  /** find(id).  changed(): whenever there is more, or less, that is erased. */
  constructor(find, { say, changed }) {
    Object.assign(this, { find, changed });
    this.pen = new Pen(null, MOST);
    this.pen.changed = changed;
    find("brush").style.width = `${100 * this.wide}%`;
    find("erase").onclick = () => {
      const on = find("erase").getAttribute("aria-pressed") !== "true";
      this.#take(on, say);
      say(on ? "Erasing. Draw on y with mouse, finger or keys." : "");
    };
    find("unerase").onclick = () => this.#clear();
  }

  /** What it has passed along: lists of [right, down], shares of the side. */
  strokes() {
    return this.pen.strokes.map((stroke) => stroke.map(share));
  }

  /** For another image. */
  forget() {
    Object.assign(this.pen, { strokes: [], down: false });
    this.#draw();
  }

  #clear() {
    this.pen.clear();
    this.#draw();
  }

  #take(on, say) {
    const canvas = this.find("y");
    this.find("erase").setAttribute("aria-pressed", String(on));
    canvas.setAttribute("role", on ? "application" : "img");
    canvas.classList.toggle("erased", on);
    if (on) {
      const drawn = () => {
        this.#draw();
        if (this.pen.down) this.changed();
      };
      canvas.tabIndex = 0;
      canvas.setAttribute("aria-describedby", "pad-help");
      bindPen(canvas, this.pen, { say, drawn, clear: () => this.#clear() });
      canvas.focus();
    } else {
      canvas.removeAttribute("tabindex");
      canvas.removeAttribute("aria-describedby");
      unbindPen(canvas);
      this.pen.lift();
    }
    this.#draw();
  }

  #draw() {
    const [right, down] = share(this.pen.place);
    const brush = this.find("brush");
    brush.hidden = document.activeElement !== this.find("y");
    Object.assign(brush.style, {
      left: `${100 * (right - this.wide / 2)}%`,
      top: `${100 * (down - this.wide / 2)}%`,
    });
    this.find("unerase").hidden = !this.pen.strokes.length;
  }
}
