/** Values over the steps of a training, and their curves. */
import { colours, surface } from "./draw.js";

const KEPT = 600; // of more, every other one is dropped

export class Curves {
  /** lines: [{key, name, colour, dash}]; top: the end of the axis, or null to find one. */
  constructor(canvas, legend, lines, top = null) {
    Object.assign(this, {
      canvas,
      legend,
      lines,
      top,
      rows: [],
      every: 1,
      waiting: 0,
    });
  }

  clear() {
    Object.assign(this, { rows: [], every: 1, waiting: 0 });
  }

  add(step, values) {
    const last = this.rows.at(-1);
    if (last && last.step >= step) return;
    if (this.waiting++ % this.every) return;
    this.rows.push({ step, ...values });
    if (this.rows.length > KEPT) {
      this.rows = this.rows.filter((_, i) => i % 2 === 0);
      this.every *= 2;
    }
  }

  get ceiling() {
    if (this.top) return this.top;
    const values = this.rows
      .slice(Math.floor(this.rows.length / 20))
      .flatMap((row) => this.lines.map(({ key }) => row[key]));
    const highest =
      values.filter(Number.isFinite).reduce((a, b) => Math.max(a, b), 0) || 1;
    const unit = 10 ** Math.floor(Math.log10(highest));
    return [1, 2, 5, 10].find((factor) => factor * unit >= highest) * unit;
  }

  draw() {
    const { context, width, height } = surface(this.canvas);
    const colour = colours();
    const { rows, ceiling } = this;
    const box = { left: 44, right: width - 8, top: 10, bottom: height - 20 };
    const end = Math.max(rows.at(-1)?.step ?? 0, 100);
    const x = (step) => box.left + (step / end) * (box.right - box.left);
    const y = (value) =>
      box.bottom - Math.min(value / ceiling, 1.03) * (box.bottom - box.top);
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = colour.soft;
    context.strokeStyle = colour.hair;
    context.lineWidth = 1;
    context.textAlign = "right";
    for (const share of [0, 0.5, 1]) {
      const at = y(share * ceiling);
      context.beginPath();
      context.moveTo(box.left, at);
      context.lineTo(box.right, at);
      context.stroke();
      context.fillText(brief(share * ceiling), box.left - 5, at + 4);
    }
    context.fillText(`${end} steps`, box.right, height - 5);
    for (const { key, colour: name, dash } of this.lines) {
      context.strokeStyle = colour[name];
      context.lineWidth = 2;
      context.setLineDash(dash);
      context.beginPath();
      for (const row of rows)
        if (Number.isFinite(row[key])) context.lineTo(x(row.step), y(row[key]));
      context.stroke();
    }
    context.setLineDash([]);
    this.#tell();
  }

  #tell() {
    const last = this.rows.at(-1);
    this.lines.forEach(({ key, name, colour, dash }, i) => {
      const item =
        this.legend.children[i] ?? this.legend.appendChild(entry(colour, dash));
      item.lastChild.textContent = ` ${name} ${last && Number.isFinite(last[key]) ? last[key].toPrecision(2) : "–"}`;
    });
  }
}

const brief = (value) =>
  value >= 1e4 || (value && value < 1e-3)
    ? value.toExponential(0)
    : String(Number(value.toPrecision(2)));

function entry(colour, dash) {
  const item = document.createElement("span");
  const swatch = document.createElement("span");
  swatch.className = `swatch line${dash.length ? " broken" : ""}`;
  swatch.style = `--c: var(--${colour}); margin: 0; vertical-align: middle`;
  item.append(swatch, "");
  return item;
}
