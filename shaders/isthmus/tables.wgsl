// `isthmus` encoder, when tables are sent: counts become frequencies (FORMAT.md, "Normalising") and packed steps. One
// invocation makes one table; a table that nothing uses stays 0.

@group(0) @binding(2) var<storage, read_write> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> table: array<u32>;
/** For the host. */
@group(0) @binding(4) var<storage, read_write> frequencies: array<u32>;

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) number: u32) {
  if (number >= NEIGHBOUR_TABLES) {
    return;
  }
  let row = number * TOKENS;
  var sum = 0u;
  for (var token = 0u; token < TOKENS; token++) {
    sum += counts[row + token];
  }
  let shift = max(32u - countLeadingZeros(sum), 19u) - 19u;
  var total = 0u;
  var present = 0u;
  var largest = 0u;
  var mode = 0u;
  for (var token = 0u; token < TOKENS; token++) {
    let scaled = (counts[row + token] + (1u << shift) - 1u) >> shift;
    total += scaled;
    present += min(1u, scaled);
    if (scaled > largest) {
      largest = scaled;
      mode = token;
    }
  }
  var given = 0u;
  for (var token = 0u; token < TOKENS; token++) {
    let scaled = (counts[row + token] + (1u << shift) - 1u) >> shift;
    let frequency = select(0u, 1u + scaled * (4096u - present) / max(1u, total), scaled > 0u);
    frequencies[row + token] = frequency;
    given += frequency;
  }
  if (total > 0u) {
    frequencies[row + mode] += 4096u - given;
  }
  var before = 0u;
  for (var token = 0u; token < TOKENS; token++) {
    let frequency = frequencies[row + token];
    table[row + token] = packStep(max(1u, frequency), before);
    before += frequency;
  }
}
