// Entropy coder, pass 2: puts the words of all lanes one after the other. Every workgroup sums the lanes' counts anew, a
// chunk of lanes per invocation; then an invocation owns whole entries of `payload` and looks up whose words they hold.

/** Words before each chunk of lanes. */
var<workgroup> wg_before: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let count = lanes.count;
  let chunk = (count + WORKGROUP - 1u) / WORKGROUP;
  var sum = 0u;
  for (var lane = index * chunk; lane < min(count, (index + 1u) * chunk); lane++) {
    sum += lanes.lane[lane].count;
  }
  wg_before[index] = sum;
  workgroupBarrier();
  var before = 0u;
  for (var earlier = 0u; earlier < index; earlier++) {
    before += wg_before[earlier];
  }
  workgroupBarrier();
  wg_before[index] = before;
  workgroupBarrier();
  if (count == 0u) {
    return;
  }
  var total = wg_before[WORKGROUP - 1u];
  for (var lane = (WORKGROUP - 1u) * chunk; lane < count; lane++) {
    total += lanes.lane[lane].count;
  }
  if (group.x == 0u && index == 0u) {
    lanes.total = total;
  }
  // Nothing at all where they do not fit: the host sees `total`, and `payload` keeps what a family left there.
  let needed = (total + 1u) / 2u;
  let entries = select(0u, needed, needed <= arrayLength(&payload));
  for (var entry = group.x * WORKGROUP + index; entry < entries; entry += groups.x * WORKGROUP) {
    // The last chunk that begins at or before the word; chunks without words begin where the next one does.
    var at = 2u * entry;
    var low = 0u;
    for (var width = WORKGROUP; width > 1u;) {
      width = (width + 1u) / 2u;
      if (low + width < WORKGROUP && wg_before[low + width] <= at) {
        low += width;
      }
    }
    at -= wg_before[low];
    var lane = low * chunk;
    while (at >= lanes.lane[lane].count) {
      at -= lanes.lane[lane].count;
      lane++;
    }
    var value = wordOf(lane, at);
    if (2u * entry + 1u < total) {
      at++;
      while (at >= lanes.lane[lane].count) {
        at -= lanes.lane[lane].count;
        lane++;
      }
      value |= wordOf(lane, at) << 16u;
    }
    payload[entry] = value;
  }
}

/** Word `at` of a lane, in the order in which a decoder takes them. */
fn wordOf(lane: u32, at: u32) -> u32 {
  let half = 2u * lanes.lane[lane].wordsEnd - lanes.lane[lane].count + at;
  return (laneWords[half >> 1u] >> ((half & 1u) * 16u)) & 0xffffu;
}
