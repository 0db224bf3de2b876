/** A strip at the lower edge of small screens: y and what becomes of it, while these are scrolled out of sight. */
import { show } from "./results.js";

/** strip: its element.  watched: the elements of which one is to be seen. */
export class Strip {
  constructor(strip, watched) {
    this.strip = strip;
    const seen = new Map();
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries)
        seen.set(target, isIntersecting);
      strip.hidden = [...seen.values()].some(Boolean);
    });
    for (const element of watched) observer.observe(element);
  }

  /** images: one for each place, all of one shape. */
  draw(images, shape) {
    while (this.strip.children.length > images.length)
      this.strip.lastChild.remove();
    images.forEach((image, i) => {
      const canvas = this.strip.children[i] ?? document.createElement("canvas");
      canvas.className = "image";
      if (!canvas.isConnected) this.strip.append(canvas);
      show(canvas, image, shape);
    });
  }
}
