// Part of items.wgsl for tables that both ends know: nothing is counted, and they are put where the entropy coder looks.

/** K × 27 packed steps. */
@group(0) @binding(4) var<storage, read_write> table: array<u32>;
@group(1) @binding(2) var<storage, read> knownTable: array<u32>;

fn countSymbol(entry: u32) {}

fn finishTables(index: u32, first: u32, stride: u32) {
  for (var entry = first; entry < params.tables * TOKENS; entry += stride) {
    table[entry] = knownTable[entry];
  }
}
