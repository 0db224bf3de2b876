/** One training step in its parts: what each of them says, and draws. */
const SHOWN = 2 * 32; // numbers of the batch's flat points that are drawn
const SCALE = 0.025; // of a force, so that arrows stay apart
const ENLARGED = 20; // times, what a single step does

const some = (points) => points.subarray(0, SHOWN);
const between = (a, b) => a.map((v, i) => b[i] - v);
const force = { scale: SCALE, longest: 0.6, width: 2 };

export const PARTS = [
  {
    text: "1. Draw x from the data and z from the source.",
    draw(p, s) {
      p.points(some(s.x), "x", 4);
      p.points(some(s.z), "z", 4);
    },
  },
  {
    text: "2. Apply f once: lines lead from x to f(x), which should be no way at all, and from z to f(z).",
    draw(p, s) {
      p.lines(some(s.x), some(s.fx), "x", 0.9);
      p.lines(some(s.z), some(s.fz), "z", 0.9);
      p.points(some(s.x), "x", 4);
      p.points(some(s.z), "z", 4);
      p.points(some(s.fz), "fz", 4);
    },
  },
  {
    text: "3. Apply f twice: lines lead from f(z) to f(f(z)). Idempotence wants them short, tightness long.",
    draw(p, s) {
      p.points(some(s.x), "x", 3, 0.5);
      p.lines(some(s.fz), some(s.ffz), "ffz", 1);
      p.points(some(s.fz), "fz", 4);
      p.points(some(s.ffz), "ffz", 3);
    },
  },
  {
    text: "4. Reconstruction pushes each f(x) back to its x. With L1 a push goes along the diagonals, whatever the distance.",
    draw(p, s) {
      p.lines(some(s.x), some(s.fx), "x", 0.7);
      p.points(some(s.x), "x", 4);
      p.arrows(some(s.fx), some(s.forces.fx), "x", force);
    },
  },
  {
    text: "5. Idempotence pushes each f(z), through the inner f alone, to where the outer f would move it less.",
    draw(p, s) {
      p.lines(some(s.fz), some(s.ffz), "ffz", 0.6);
      p.points(some(s.fz), "fz", 4);
      p.arrows(some(s.fz), some(s.forces.fz), "fz", force);
    },
  },
  {
    text: "6. Tightness pushes each f(f(z)), through the outer f alone, away from f(z); less where the clamp has had enough.",
    draw(p, s) {
      p.lines(some(s.fz), some(s.ffz), "ffz", 0.6);
      p.points(some(s.fz), "fz", 3);
      p.points(some(s.ffz), "ffz", 4);
      p.arrows(some(s.ffz), some(s.forces.ffz), "drift", force);
    },
  },
  {
    text: `7. One network has to follow them all: Adam moves the weights. Arrows show, ${ENLARGED} times enlarged, how that moves f(x) and f(z).`,
    draw(p, s) {
      p.points(some(s.x), "x", 3, 0.5);
      p.points(some(s.fx), "x", 3);
      p.points(some(s.fz), "fz", 3);
      if (!s.after) return;
      const moved = { scale: ENLARGED, longest: 0.6, width: 2 };
      p.arrows(some(s.fx), between(some(s.fx), some(s.after.fx)), "x", moved);
      p.arrows(some(s.fz), between(some(s.fz), some(s.after.fz)), "fz", moved);
    },
  },
];
