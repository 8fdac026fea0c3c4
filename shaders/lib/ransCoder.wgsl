// The lanes of the entropy coder as passes share them. A family writes packed steps and where each lane finds its own;
// encodeLanes and compactLanes turn them into the words of FORMAT.md's stream. Nothing here knows what a step stands for.
//
// A step is frequency - 1 in bits 0…11 and the sum of the frequencies before it in bits 12…23.

struct Lane {
  /** Its steps: first, first + stride, … below end. */
  first: u32,
  end: u32,
  stride: u32,
  /** Its words fill `laneWords` from here downwards; it may need half as many as it has steps, rounded up. */
  wordsEnd: u32,
  /** Written by encodeLanes: what a decoder starts with, and the number of 16-bit words. */
  state: u32,
  count: u32,
}

struct Lanes {
  /** L; 0 when there is nothing to code. */
  count: u32,
  /** 16-bit words of all lanes, written by compactLanes. */
  total: u32,
  lane: array<Lane>,
}

fn packStep(frequency: u32, sum: u32) -> u32 {
  return (frequency - 1u) | (sum << 12u);
}
