import { randomBytes } from "node:crypto";

/** Where randomness comes from: the system in production, a seed in tests and demos. */
export type Random = { bytes(count: number): Uint8Array };

export function systemRandom(): Random {
  return { bytes: (count) => randomBytes(count) };
}

/** A repeatable source (splitmix32): the same seed gives the same bytes on every machine. Never for secrets. */
export function seededRandom(
  seed: number,
): Random & { below(limit: number): number; fraction(): number } {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => next() & 0xff),
    below: (limit) => Math.floor((next() / 4294967296) * limit),
    fraction: () => next() / 4294967296,
  };
}
