/** What a step does with a gradient: cut its length, Adam (Kingma and Ba 2015), and the averaged weights. */

export class Adam {
  constructor(
    size,
    { betas = [0.5, 0.999], eps = 1e-8, clip = 10, decay = 0.999 } = {},
  ) {
    Object.assign(this, { betas, eps, clip, decay, done: 0 });
    this.m = new Float32Array(size);
    this.v = new Float32Array(size);
  }

  /** One step of theta against its gradient; average: the averaged weights, which follow. */
  step(theta, gradient, average, lr) {
    const [b1, b2] = this.betas;
    const factor = shortened(gradient, this.clip);
    const t = this.done + 1;
    const step = lr / (1 - b1 ** t);
    const root = Math.sqrt(1 - b2 ** t);
    const decay = Math.min(this.decay, (1 + this.done) / (10 + this.done)); // a short memory while f is still crude
    const { m, v, eps } = this;
    for (let i = 0; i < theta.length; i++) {
      const g = gradient[i] * factor;
      m[i] = b1 * m[i] + (1 - b1) * g;
      v[i] = b2 * v[i] + (1 - b2) * g * g;
      theta[i] -= (step * m[i]) / (Math.sqrt(v[i]) / root + eps);
      average[i] += (1 - decay) * (theta[i] - average[i]);
    }
    this.done = t;
  }
}

/** The factor that makes a gradient no longer than `limit` (torch.nn.utils.clip_grad_norm_). */
function shortened(gradient, limit) {
  let sum = 0;
  for (let i = 0; i < gradient.length; i++) sum += gradient[i] * gradient[i];
  return Math.min(1, limit / (Math.sqrt(sum) + 1e-6));
}
