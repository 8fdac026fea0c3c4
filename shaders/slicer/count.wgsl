// Pass 4 of the SLICER encoder. The thresholds are known now; count per tile how many keys lie strictly between two
// neighbouring thresholds (a region: all of it falls into one block) and how many tie with a threshold (which of them
// fall above it is decided by index, in the next pass). Also the largest key per region and who is negative.

var<workgroup> wg_ties: array<atomic<u32>, 16>;
var<workgroup> wg_regionMax: array<atomic<u32>, 16>;
var<workgroup> wg_negatives: atomic<u32>;
var<workgroup> wg_negativeTie: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let survivor = chosen;
  resolveLevel(3u, lane, survivor.limit, group.x == 0u);
  let last = max(wg_slots, 1u) - 1u;
  let lowest = select(wg_prefix[last], NOWHERE, wg_slots == 0u);

  let place = scanPlace(lane);
  var negatives = 0u;
  var negativeTie = 0u;
  for (var tile = group.x; tile < params.tiles; tile += groups.x) {
    var packed = vec4<u32>(0u);
    for (var k = 0u; k < ITEMS; k++) {
      let i = tile * tileSize() + k * WORKGROUP + lane;
      if (i >= params.count) {
        break;
      }
      let bits = sanitise(featureBits(i), survivor.limit);
      let key = rankKey(bits, i, survivor);
      if (key < lowest) {
        continue;
      }
      let at = entriesAbove(key);
      let isTie = wg_prefix[at] == key;
      if (isTie) {
        atomicAdd(&wg_ties[at], 1u);
      } else {
        packed = bump(packed, at);
        if (key > atomicLoad(&wg_regionMax[at])) {
          atomicMax(&wg_regionMax[at], key);
        }
      }
      let isLastTie = isTie && at == last;
      negatives |= select(0u, bits >> 31u, !isLastTie);
      negativeTie = max(negativeTie, select(0u, ~i, isLastTie && bits >= SIGN));
    }
    scanTile(packed, place);
    if (lane < MAX_BLOCKS) {
      counts[tile * COUNT_ROW + lane] = summed(lane);
      counts[tile * COUNT_ROW + TIE_COLUMN + lane] = atomicExchange(&wg_ties[lane], 0u);
    }
    workgroupBarrier();
  }
  atomicMax(&wg_negatives, negatives);
  atomicMax(&wg_negativeTie, negativeTie);
  workgroupBarrier();
  if (lane < MAX_BLOCKS) {
    atomicMax(&selection.regionMax[lane], atomicLoad(&wg_regionMax[lane]));
  }
  if (lane == 0u) {
    atomicMax(&selection.negatives, atomicLoad(&wg_negatives));
    atomicMax(&selection.negativeTie, atomicLoad(&wg_negativeTie));
  }
}
