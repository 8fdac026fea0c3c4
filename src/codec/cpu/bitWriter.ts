// Packs values of up to 24 bits into an array of zeroed words, lowest bit first (FORMAT.md, "Payload").

/** Writes `value`, which has at most `width` ≤ 24 bits, at bit `at`. The words under it must still be zero there. */
export function putBits(words: Uint32Array, at: number, value: number, width: number): void {
  const word = at >>> 5;
  const shift = at & 31;
  words[word]! |= value << shift;
  if (shift + width > 32) words[word + 1] = value >>> (32 - shift);
}
