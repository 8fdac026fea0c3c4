// The stream of the entropy coder as encoders write it (FORMAT.md, "Entropy coder: rANS", "Stream").

/** A lane: state, address of its last word so far, end of its words, unused; 4 bytes each. Words are written downwards. */
export const LANE_BYTES: u32 = 16;

export function startLane(lane: usize, end: usize): void {
  store<u32>(lane, 0x10000);
  store<u32>(lane, <u32>end, 4);
  store<u32>(lane, <u32>end, 8);
}

/**
 * States, word counts and words of finished lanes.
 * @returns bytes of the stream
 */
export function writeStream(lane: usize, lanes: u32, out: usize): u32 {
  let to = out;
  for (let l: u32 = 0; l < lanes; l++, to += 4) store<u32>(to, load<u32>(lane + l * LANE_BYTES));
  for (let l: u32 = 0; l < lanes - 1; l++) {
    let left = bytesOf(lane + l * LANE_BYTES) >>> 1;
    for (; left > 127; left >>>= 7) store<u8>(to++, left | 0x80);
    store<u8>(to++, left);
  }
  for (let l: u32 = 0; l < lanes; l++) {
    const at = lane + l * LANE_BYTES;
    memory.copy(to, load<u32>(at, 4), bytesOf(at));
    to += bytesOf(at);
  }
  return <u32>(to - out);
}

function bytesOf(lane: usize): u32 {
  return load<u32>(lane, 8) - load<u32>(lane, 4);
}
