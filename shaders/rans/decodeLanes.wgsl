// `rans` decoder, pass 1: one invocation decodes one lane of D, its first symbol first. Its loop ends with the lane's
// symbols, or with the first word that is missing.

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let lanes = 1u << params.lanesLog2;
  let lane = id.x;
  if (lane >= lanes) {
    return;
  }
  beginLane(lane, lanes);
  let slots = params.first + params.slotsAt;
  let steps = (max(params.symbols, lane) - lane + lanes - 1u) >> params.lanesLog2;
  var at = lane;
  for (var step = 0u; step < steps && pv_wrong == 0u; step += 4u) {
    var four = 0u;
    for (var i = 0u; i < min(4u, steps - step); i++) {
      let slot = input[slots + (pv_state & 4095u)];
      four |= (slot & 255u) << (8u * i);
      advance(((slot >> 8u) & 4095u) + 1u, slot >> 20u);
      if (pv_wrong != 0u) {
        break;
      }
    }
    symbols[at] = four;
    at += lanes;
  }
  let wrong = endLane();
  if (wrong != 0u) {
    atomicOr(&status, wrong);
  }
}
