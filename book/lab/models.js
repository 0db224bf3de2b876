/** What the page offers: kinds of images, and the models of each, whose weights book/weights.py writes. */
export const KINDS = {
  digits: {
    title: "Digits",
    ink: 22, // the width of the pen's line, of a pad of 280
    models: [
      {
        name: "mnist",
        title: "The broad one",
        about: "trained on noisy digits too, and settled",
      },
      {
        name: "mnist-narrow",
        title: "The narrow one",
        about: "trained on noise alone",
      },
      {
        name: "mnist-paper-light",
        title: "The paper’s weights",
        about:
          "half as wide, trained with the paper’s weights of the three terms, f(z) has collapsed to few digits",
      },
      {
        name: "mnist-denoise",
        title: "The denoiser",
        about: "half as wide, trained to take noise off; it is no IGN",
      },
    ],
  },
  clothes: {
    title: "Clothes",
    ink: 22,
    models: [
      {
        name: "fashion",
        title: "The narrow one",
        about: "trained on noise alone",
      },
      {
        name: "fashion-broad",
        title: "The broad one",
        about: "half as wide, trained on noisy clothes too",
      },
      {
        name: "fashion-paper",
        title: "The paper’s weights",
        about:
          "half as wide, trained with the paper’s weights of the three terms, f(z) is mostly tops and bags",
      },
      {
        name: "fashion-denoise",
        title: "The denoiser",
        about: "half as wide, trained to take noise off; it is no IGN",
      },
    ],
  },
  faces: {
    title: "Faces",
    ink: 6,
    models: [
      {
        name: "faces-settled",
        title: "The broad one",
        about: "trained on grey, sketched and damaged faces too, and settled",
      },
      {
        name: "faces-narrow",
        title: "The narrow one",
        about: "trained on noise alone",
      },
      {
        name: "faces-paper",
        title: "The paper’s weights",
        about:
          "half as wide, trained with the paper’s weights of the three terms, f(z) is soft and of few kinds",
      },
      {
        name: "faces-denoise",
        title: "The denoiser",
        about: "trained to take noise off; it is no IGN",
      },
    ],
  },
};

/** What is known of a model by its name: {kind, title, about}. */
export function model(name) {
  for (const [kind, { models }] of Object.entries(KINDS))
    for (const one of models) if (one.name === name) return { kind, ...one };
  throw new Error(`there is no model ${name}`);
}
