// End of columns.wgsl for a step that is known: the dead-zone quantiser (FORMAT.md, "Encode"). Two signed 16-bit numbers
// per word, in the order of symbols: it is zeroed beforehand, and only what is not 0 needs an atomic operation.

@group(0) @binding(3) var<storage, read_write> quantised: array<atomic<u32>>;

var<private> pv_step: u32;
var<private> pv_seen: u32;

fn begin() {
  pv_step = stepOf();
}

/** `line`: its row, counted over all planes. */
fn finish(at: u32, line: u32, column: u32, y: i32) {
  let step = stepAt(pv_step, line, column);
  let magnitude = min(LARGEST_MAGNITUDE, (u32(abs(y)) + ((step * params.deadZone) >> 8u)) / step);
  if (magnitude == 0u) {
    return;
  }
  var q = magnitude;
  if (y < 0) {
    q = (~magnitude + 1u) & 0xffffu;
    pv_seen = SEEN_NEGATIVE_COEFFICIENT;
  }
  atomicOr(&quantised[at >> 1u], q << ((at & 1u) * 16u));
}

fn end() {
  note(pv_seen);
}
