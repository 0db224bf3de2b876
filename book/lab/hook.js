/**
 * window.ignLab, by which tests ask the page for what it computes.  Weights go in and out as flat lists in PyTorch's order,
 * points as flat lists [y1, y2, y1, y2, ...]; weights of the objective as in objective.js, {reconstruction, ...}.
 *
 *   gradient({width, theta, x, z, weights, plain})       -> {gradient, means}
 *   follow({width, theta, batches: [{x, z}], weights, lr, plain}) -> {theta, average} after a step on each batch
 *   measure({data, points})                              -> {precision, coverage}
 *   rates()                                              -> {steps, frames} a second, as last taken
 *   settings()                                           -> what is set
 */
import { Adam } from "./adam.js";
import { dataset } from "./data.js";
import { measures } from "./measures.js";
import { Network } from "./network.js";
import { objective } from "./objective.js";

const floats = (list) => Float32Array.from(list);

function made({ width, theta, plain = false }, n) {
  const network = new Network({ width, rows: 2 * n, passes: 2, plain });
  network.theta.set(network.fromTorch(theta));
  return network;
}

export const hook = {
  gradient(asked) {
    const network = made(asked, asked.x.length / 2);
    const { means } = objective(
      network,
      floats(asked.x),
      floats(asked.z),
      asked.weights,
    );
    return {
      gradient: network.toTorch(network.gradient),
      means,
      fast: network.fast,
    };
  },
  follow(asked) {
    const network = made(asked, asked.batches[0].x.length / 2);
    const average = Float32Array.from(network.theta);
    const adam = new Adam(network.size);
    for (const { x, z } of asked.batches) {
      objective(network, floats(x), floats(z), asked.weights);
      adam.step(network.theta, network.gradient, average, asked.lr);
    }
    return {
      theta: network.toTorch(network.theta),
      average: network.toTorch(average),
    };
  },
  measure: ({ data, points }) => measures(dataset(data), floats(points)),
};
