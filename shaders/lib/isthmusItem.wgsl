// One symbol between the passes, all that the entropy coder needs in one word: its entry in `table` (number of the table × 27
// + token) in bits 0…10, the number of raw bits in 11…14, their value from 15 up.

const NEIGHBOUR_TABLES = 15u;

fn packItem(entry: u32, rawBits: u32, raw: u32) -> u32 {
  return entry | (rawBits << 11u) | (raw << 15u);
}
