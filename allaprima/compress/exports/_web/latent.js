// Seeds, and the pad as a flat torus through the seed's noise: every place on it is as typical as the noise itself.
"use strict";
self.Latent = (() => {
  // mulberry32: a small generator, the same numbers in every browser
  const uniform = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  const normal = (next, size) => Float64Array.from({ length: size }, () =>
    Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()));

  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

  // z, then three more, made orthonormal in that order (Gram and Schmidt)
  function axes(seed, size) {
    const next = uniform(seed);
    const rows = [];
    let length = 0;
    for (let i = 0; i < 4; i++) {
      const row = normal(next, size);
      if (i === 0) length = Math.sqrt(dot(row, row));
      for (const other of rows) {
        const share = dot(row, other);
        for (let k = 0; k < size; k++) row[k] -= share * other[k];
      }
      const norm = Math.sqrt(dot(row, row)) || 1;
      rows.push(row.map((value) => value / norm));
    }
    return { rows, length };
  }

  const known = new Map();
  function place(seed, x, y, size) {
    if (!known.has(seed)) known.set(seed, axes(seed, size));
    const { rows: [z, w, u, v], length } = known.get(seed);
    const half = Math.SQRT1_2;
    const turns = [Math.cos(Math.PI * x), Math.sin(Math.PI * x), Math.cos(Math.PI * y), Math.sin(Math.PI * y)];
    return Float64Array.from({ length: size }, (_, k) => length * half * (
      turns[0] * half * (z[k] + w[k]) + turns[1] * u[k] + turns[2] * half * (z[k] - w[k]) + turns[3] * v[k]));
  }

  // by slerp: half of two wishes is no weaker than either
  function between(a, b, share) {
    const [na, nb] = [Math.sqrt(dot(a, a)) || 1, Math.sqrt(dot(b, b)) || 1];
    const angle = Math.acos(Math.max(-1, Math.min(1, dot(a, b) / (na * nb))));
    if (Math.sin(angle) < 1e-3) return a.map((value, k) => value * (1 - share) + b[k] * share);
    const norm = na * (1 - share) + nb * share;
    const [sa, sb] = [Math.sin((1 - share) * angle) / na, Math.sin(share * angle) / nb].map((s) => s * norm / Math.sin(angle));
    return a.map((value, k) => sa * value + sb * b[k]);
  }

  return { place, between };
})();
