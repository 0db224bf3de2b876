/** Random numbers that a seed decides: the generator sfc32, four words of state, seeded through splitmix32. */
export class Random {
  #state;
  #spare = null;

  /** stream: a name, so that weights, data and source of one seed are drawn apart. */
  constructor(seed, stream = "") {
    let h = (seed >>> 0) ^ 0x9e3779b9;
    for (const letter of stream)
      h = Math.imul(h ^ letter.charCodeAt(0), 0x85ebca6b) ^ (h >>> 13);
    const next = () => {
      h = (h + 0x9e3779b9) | 0;
      let t = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
      t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
      return t ^ (t >>> 15);
    };
    this.#state = [next(), next(), next(), 1];
    for (let i = 0; i < 12; i++) this.uniform();
  }

  /** In [0, 1). */
  uniform() {
    const s = this.#state;
    const t = (s[0] + s[1] + s[3]) | 0;
    s[3] = (s[3] + 1) | 0;
    s[0] = s[1] ^ (s[1] >>> 9);
    s[1] = (s[2] + (s[2] << 3)) | 0;
    s[2] = (s[2] << 21) | (s[2] >>> 11);
    s[2] = (s[2] + t) | 0;
    return (t >>> 0) / 4294967296;
  }

  /** N(0, 1), by Box and Muller, in pairs. */
  normal() {
    if (this.#spare !== null) {
      const spare = this.#spare;
      this.#spare = null;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}
