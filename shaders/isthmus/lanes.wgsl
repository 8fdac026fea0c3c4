// `isthmus` encoder: one invocation codes one lane of the entropy coder, its last symbol first: raw bits, then the token.
// Items and their steps are fetched four at a time before any is used, because the chain of states would otherwise
// wait for memory at every symbol. compactLanes.wgsl follows.

/** K × 27 packed steps. */
@group(0) @binding(5) var<storage, read_write> table: array<u32>;

var<private> pv_state: u32;
var<private> pv_at: u32;
/** A word that waits for its neighbour, in the upper half. */
var<private> pv_waiting: u32;
var<private> pv_count: u32;

fn put(frequency: u32, sum: u32) {
  if ((pv_state >> 20u) >= frequency) { // never for a frequency of 4096
    let word = pv_state & 0xffffu;
    if ((pv_count & 1u) == 0u) {
      pv_waiting = word << 16u;
    } else {
      pv_at--;
      laneWords[pv_at] = pv_waiting | word;
    }
    pv_count++;
    pv_state >>= 16u;
  }
  // floor(x/f)·4096 + x mod f + c, with one division.
  pv_state += (pv_state / frequency) * (4096u - frequency) + sum;
}

fn putItem(item: u32, step: u32) {
  let rawBits = (item >> 11u) & 15u;
  if (rawBits > 0u) {
    let frequency = 4096u >> rawBits;
    put(frequency, (item >> 15u) * frequency);
  }
  put((step & 4095u) + 1u, step >> 12u);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let count = 1u << params.lanesLog2;
  if (id.x >= count) {
    return;
  }
  let first = laneStart(id.x) * params.columns;
  let end = laneStart(id.x + 1u) * params.columns;
  pv_state = 0x10000u;
  pv_at = end;
  pv_count = 0u;
  var left = end - first;
  while (left >= 4u) {
    let last = first + left - 1u;
    // `steps` are the items here.
    let four = vec4<u32>(steps[last], steps[last - 1u], steps[last - 2u], steps[last - 3u]);
    let entries = four & vec4<u32>(2047u);
    let known = vec4<u32>(table[entries.x], table[entries.y], table[entries.z], table[entries.w]);
    putItem(four.x, known.x);
    putItem(four.y, known.y);
    putItem(four.z, known.z);
    putItem(four.w, known.w);
    left -= 4u;
  }
  for (; left > 0u; left--) {
    let item = steps[first + left - 1u];
    putItem(item, table[item & 2047u]);
  }
  if ((pv_count & 1u) == 1u) {
    laneWords[pv_at - 1u] = pv_waiting;
  }
  // A symbol has two steps at most, so a word of `laneWords` per symbol is enough.
  lanes.lane[id.x] = Lane(first, end, 1u, end, pv_state, pv_count);
  if (id.x == 0u) {
    lanes.count = count;
  }
}
