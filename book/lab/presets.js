/**
 * Ways to break a training: the common mistakes of chapter 2 and the failures of chapters 4 and 5, each as settings on top
 * of the data set's own, and what to see.
 */
const ring = { data: "ring", lambda: 0.5 };

export const WORKING = {
  id: "working",
  name: "The working one",
  set: ring,
  see: "The ring with λ = 0.5, nothing broken. The ground rises inside the ring, and f(z) moves out to it.",
};

export const PRESETS = [
  {
    heading: "Mistakes in the gradient (chapter 2)",
    list: [
      {
        id: "frozen",
        name: "Tightness on the frozen copy",
        set: { ...ring, rule: "frozen" },
        see: "The outer f receives nothing: tightness moves a number and no weight. It is as if λ were 0. The ground inside the ring rises late and little, and f(z) fills it meanwhile.",
      },
      {
        id: "outer",
        name: "Idempotence trains the outer f too",
        set: { ...ring, rule: "outer" },
        see: "The outer f learns that everything it is shown is a fixed point. The drift inside the ring stays near 0, and more of z is left where it is.",
      },
      {
        id: "inner",
        name: "Tightness trains the inner f too",
        set: { ...ring, rule: "inner" },
        see: "The generator is pushed half as hard, so f(z) comes later, with stragglers far out. In the runs of chapter 2 the drift inside the ring is larger than with the right objective, so it looks better than it is. A test of the gradients finds the mistake.",
      },
      {
        id: "nodetach",
        name: "No detach and no copy",
        set: { ...ring, rule: "nodetach" },
        see: "A game without a judge: f becomes the identity, f(z) stays at z, and all terms look calm.",
      },
      {
        id: "nograd",
        name: "Frozen copy under no_grad",
        set: { ...ring, rule: "nograd", clamp: null },
        see: "The path through the outer f is cut, and f(z) goes where f would send it. With no clamp it runs away.",
      },
      {
        id: "sign",
        name: "Sign of tightness",
        set: { ...ring, rule: "sign" },
        see: "The judge approves of all that is generated. The drift inside the ring stays near 0, and more of z is left where it is.",
      },
      {
        id: "batch",
        name: "Clamp on the batch’s mean",
        set: { ...ring, rule: "batch" },
        see: "One far z decides for all: single points of f(z) stay far out, and parts of the ring are missed at first. On this toy it is mended in time.",
      },
    ],
  },
  {
    heading: "Failures of a training (chapters 4 and 5)",
    list: [
      {
        id: "constant",
        name: "The constant",
        set: { ...ring, idempotence: 60, lr: 0.02, source: "uniform" },
        see: "All f(z) become one point, and all f(x) too. Idempotence and tightness are near 0 and look calm; reconstruction tells.",
      },
      {
        id: "runaway",
        name: "The runaway",
        set: { ...ring, lambda: 1.5, clamp: null },
        see: "Tightness has won: the data are moved, and what is generated moves on when f is applied again. Switch the clamp on, at 0.5, and the ring is kept.",
      },
      {
        id: "weak",
        name: "No tightness",
        set: { ...ring, lambda: 0 },
        see: "Reconstruction alone leaves the inside of the ring nearly where it is as well: the valley is a basin, and f(z) fills it for long. Set λ to 0.5 and look at the drift in the middle.",
      },
      {
        id: "unanswered",
        name: "No idempotence",
        set: { ...ring, idempotence: 0, clamp: null },
        see: "The ground is raised and nobody walks down: f(f(z)) is pushed away from f(z), and f(z) flies off with it.",
      },
      {
        id: "unheard",
        name: "Clamp too tight",
        set: { ...ring, clamp: 0.1 },
        see: "Little is left of tightness: the middle of the ring is hardly moved.",
      },
      {
        id: "low",
        name: "λ too low for the spiral",
        set: { data: "spiral" },
        see: "What f(z) covers may be less than the data: wait, and look at the inner end of the spiral.",
      },
      {
        id: "fast",
        name: "Rate too high",
        set: { ...ring, lr: 0.05 },
        see: "f jumps from one bad answer to the next, and often rests at a constant.",
      },
    ],
  },
];
