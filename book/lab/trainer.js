/** A training under way (ign_core.Run): the network, its averaged weights, the optimiser, and where batches come from. */
import { Adam } from "./adam.js";
import { dataset, source } from "./data.js";
import { Network } from "./network.js";
import { objective } from "./objective.js";
import { Random } from "./random.js";

export const BATCH = 256;
export const RECONSTRUCTION = 20; // tightness is lambda times this

/** What the objective is called with, from the page's settings. */
export function weightsOf({ lambda, idempotence, clamp, distance, rule }) {
  return {
    reconstruction: RECONSTRUCTION,
    idempotence,
    tightness: RECONSTRUCTION * lambda,
    clamp,
    distance,
    rule,
  };
}

export class Trainer {
  constructor(settings, { batch = BATCH, plain = false } = {}) {
    this.batch = batch;
    this.network = new Network({
      width: settings.width,
      rows: 2 * batch,
      passes: 2,
      plain,
    });
    this.network.start(new Random(settings.seed, "weights"));
    this.begin();
    this.random = {
      data: new Random(settings.seed, "data"),
      source: new Random(settings.seed, "source"),
    };
    this.change(settings);
  }

  /** Forget what was learnt about the way, but keep the weights that are there. */
  begin() {
    this.average = Float32Array.from(this.network.theta);
    this.adam = new Adam(this.network.size);
  }

  /** Settings that may change while f is being trained: all but width and seed. */
  change(settings) {
    this.settings = settings;
    this.data = dataset(settings.data, settings.drawing);
    this.source = source(settings.source, settings.shape);
  }

  get steps() {
    return this.adam.done;
  }

  draw() {
    return {
      x: this.data.sample(this.batch, this.random.data),
      z: this.source(this.batch, this.random.source),
    };
  }

  /** Look at a batch: its terms and forces; the gradient waits in the network. */
  look({ x, z }) {
    return objective(this.network, x, z, weightsOf(this.settings));
  }

  /** Take the step that the last look asks for. */
  apply() {
    const { network, average, adam, settings } = this;
    adam.step(network.theta, network.gradient, average, settings.lr);
  }

  step(batch = this.draw()) {
    const seen = this.look(batch);
    this.apply();
    return seen;
  }
}
