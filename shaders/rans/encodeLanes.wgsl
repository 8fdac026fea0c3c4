// Entropy coder, pass 1: one invocation codes one lane, its last step first (FORMAT.md, "Lanes"). Steps are read eight at
// a time before any is used, because the chain of states would otherwise wait for memory at every step.

var<private> pv_state: u32;
var<private> pv_at: u32;
/** A word that waits for its neighbour, in the upper half. */
var<private> pv_waiting: u32;
var<private> pv_count: u32;

fn put(step: u32) {
  let frequency = (step & 4095u) + 1u;
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
  pv_state += (pv_state / frequency) * (4096u - frequency) + (step >> 12u);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= lanes.count) {
    return;
  }
  let lane = lanes.lane[id.x];
  pv_state = 0x10000u;
  pv_at = lane.wordsEnd;
  pv_count = 0u;
  var left = (max(lane.end, lane.first) - lane.first + lane.stride - 1u) / lane.stride;
  while (left >= 8u) {
    let last = lane.first + (left - 1u) * lane.stride;
    let late = vec4<u32>(
      steps[last],
      steps[last - lane.stride],
      steps[last - 2u * lane.stride],
      steps[last - 3u * lane.stride],
    );
    let early = vec4<u32>(
      steps[last - 4u * lane.stride],
      steps[last - 5u * lane.stride],
      steps[last - 6u * lane.stride],
      steps[last - 7u * lane.stride],
    );
    put(late.x);
    put(late.y);
    put(late.z);
    put(late.w);
    put(early.x);
    put(early.y);
    put(early.z);
    put(early.w);
    left -= 8u;
  }
  for (; left > 0u; left--) {
    put(steps[lane.first + (left - 1u) * lane.stride]);
  }
  if ((pv_count & 1u) == 1u) {
    laneWords[pv_at - 1u] = pv_waiting;
  }
  lanes.lane[id.x].state = pv_state;
  lanes.lane[id.x].count = pv_count;
}
