// Repeatable signs: two calibrations of one cut on the same pictures probe it in the same way.

/** A stream of +1 and -1 (Marsaglia's xorshift, 2003). */
export function signStream(seed: number): () => 1 | -1 {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x2545f491) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state & 0x10000 ? 1 : -1;
  };
}
