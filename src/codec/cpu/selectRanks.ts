// Several order statistics at once by radix: three passes over the values, 11 + 10 + 10 bits, no sort and no copy.
// Top-K (ATKF) and equal-count blocks (MS) are both this one problem; the GPU encoder solves it the same way.

/** The `rank`-th largest value (counting from 1) and how many values are larger than it. */
export interface Ranked {
  value: number;
  larger: number;
}

const HIGH_BITS = 11;
const LOW_BITS = 10;
const LOW_MASK = (1 << LOW_BITS) - 1;
const NONE = 255;

/** A rank on its way down the digits; ranks with the same digits so far share a slot, that is, a histogram. */
interface Search {
  slot: number;
  prefix: number;
  larger: number;
  /** Rank within the slot. */
  left: number;
}

/**
 * @param values 31-bit whole numbers, of which the first `count` are looked at
 * @param ranks rising, each in 1…count, at most 254 of them
 */
export function selectRanks(values: Uint32Array, count: number, ranks: readonly number[]): Ranked[] {
  const high = new Uint32Array(1 << HIGH_BITS);
  for (let i = 0; i < count; i++) high[values[i]! >>> (2 * LOW_BITS)]!++;
  const searches: Search[] = ranks.map((left) => ({ slot: 0, prefix: 0, larger: 0, left }));
  const slotOfHigh = descend(searches, high, HIGH_BITS);

  const middle = new Uint32Array(slots(searches) << LOW_BITS);
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    const slot = slotOfHigh[value >>> (2 * LOW_BITS)]!;
    if (slot !== NONE) middle[(slot << LOW_BITS) | ((value >>> LOW_BITS) & LOW_MASK)]!++;
  }
  const slotOfMiddle = descend(searches, middle, LOW_BITS);

  const low = new Uint32Array(slots(searches) << LOW_BITS);
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    const above = slotOfHigh[value >>> (2 * LOW_BITS)]!;
    if (above === NONE) continue;
    const slot = slotOfMiddle[(above << LOW_BITS) | ((value >>> LOW_BITS) & LOW_MASK)]!;
    if (slot !== NONE) low[(slot << LOW_BITS) | (value & LOW_MASK)]!++;
  }
  descend(searches, low, LOW_BITS);
  return searches.map(({ prefix, larger }) => ({ value: prefix, larger }));
}

/** Moves every search one digit down. Returns the next level's slot for each (slot, digit), NONE where nobody went. */
function descend(searches: Search[], histogram: Uint32Array, bits: number): Uint8Array {
  const next = new Uint8Array(histogram.length).fill(NONE);
  let used = 0;
  for (const search of searches) {
    const base = search.slot << bits;
    let digit = (1 << bits) - 1;
    while (histogram[base + digit]! < search.left) {
      search.left -= histogram[base + digit]!;
      search.larger += histogram[base + digit]!;
      digit--;
    }
    if (next[base + digit] === NONE) next[base + digit] = used++;
    search.slot = next[base + digit]!;
    search.prefix = search.prefix * (1 << bits) + digit;
  }
  return next;
}

function slots(searches: Search[]): number {
  return searches.reduce((m, s) => Math.max(m, s.slot + 1), 0);
}
