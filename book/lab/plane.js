/** The page: puts its parts together, and lets tests in. */
import { reflect } from "./controls.js";
import { hasKernel } from "./gemm.js";
import { hook } from "./hook.js";
import { find, lab } from "./lab.js";
import { bindSketch, endPen, picture } from "./sketch.js";
import { bindSteps, leaveParts } from "./steps.js";
import { ask, pause, play, restart } from "./training.js";
import { frame, frames, still } from "./view.js";

bindSteps({
  ask,
  stop() {
    pause();
    endPen();
  },
});
bindSketch({
  stop() {
    pause();
    leaveParts();
  },
  changed() {
    reflect();
    restart();
  },
});

for (const query of ["(prefers-color-scheme: dark)", "print"])
  matchMedia(query).addEventListener("change", () => (lab.dirty = true));
new ResizeObserver(() => (lab.dirty = true)).observe(picture.canvas);

find("slow").hidden = hasKernel();
window.ignLab = {
  ...hook,
  rates: () => ({ steps: lab.state.rate, frames }),
  settings: () => structuredClone(lab.settings),
  state: () => ({
    step: lab.state.step,
    running: lab.running,
    ...lab.judged,
    part: lab.parts?.index ?? null,
  }),
};
const autoplay = lab.settings.play && !still.matches;
reflect();
restart();
requestAnimationFrame(frame);
if (autoplay) play();
