/** The buttons by which one goes through a training step in its parts. */
import { find, lab } from "./lab.js";
import { PARTS } from "./parts.js";

export function showParts() {
  const index = lab.parts?.index ?? -1;
  const taken = lab.parts?.seen.after;
  find("parts-next").textContent =
    index < 0
      ? "Begin"
      : index === PARTS.length - 1
        ? "Next step"
        : "Next part";
  find("parts-back").disabled = index <= 0;
  find("parts-end").disabled = index < 0;
  find("told").textContent =
    index < 0
      ? ""
      : PARTS[index].text +
        (taken && index < 6 ? " (This step has been taken.)" : "");
  lab.dirty = true;
}

export function leaveParts() {
  if (!lab.parts) return;
  lab.parts = null;
  showParts();
}

/** What the buttons do.  ask: the worker; stop: whatever else is under way. */
export function bindSteps({ ask, stop }) {
  find("parts-next").onclick = () => {
    if (!lab.parts) {
      stop();
      ask({ look: true });
      find("plane").scrollIntoView({ block: "nearest" });
      return;
    }
    if (lab.parts.index === PARTS.length - 1) {
      leaveParts();
      ask({ look: true }); // the next step
      return;
    }
    lab.parts.index += 1;
    if (lab.parts.index === PARTS.length - 1 && !lab.parts.seen.after)
      ask({ apply: true });
    showParts();
  };
  find("parts-back").onclick = () => {
    lab.parts.index -= 1;
    showParts();
  };
  find("parts-end").onclick = () => {
    leaveParts();
    find("parts-next").focus();
  };
}
