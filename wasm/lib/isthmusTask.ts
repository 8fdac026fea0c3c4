// Where the kernels of family `isthmus` find what does not change from row to row: u32 fields at these offsets, filled in by
// src/codec/wasm/isthmusTask.ts.

/** Rows and columns of a plane [H, W], planes of coefficients [P'], lanes [L]. */
export const ROWS: usize = 0;
export const COLUMNS: usize = 4;
export const PLANES: usize = 8;
export const LANES: usize = 12;
/** Rows of a block where neighbours are looked for within blocks, else H; and whether they are. */
export const BLOCK_ROWS: usize = 16;
export const SPECTRAL: usize = 20;
/** Whether magnitudes above 0 have a sign. */
export const SIGNED: usize = 24;
/** Classes (0: neighbours), coded planes per batch [R], rows and columns of the map, shift, last table. */
export const CLASSES: usize = 28;
export const RANK: usize = 32;
export const MAP_ROWS: usize = 36;
export const MAP_COLUMNS: usize = 40;
export const SHIFT: usize = 44;
export const LAST_TABLE: usize = 48;
/** Quantised coefficients, i16, and their magnitudes up to 40, u8, with 32 zeros before them. */
export const QUANTISED: usize = 52;
export const MAGNITUDES: usize = 56;
/** As many zero bytes as there are columns, and 32 more. */
export const ZEROS: usize = 60;
/** A byte per column and 16 more: 0xff where there is a neighbour to the left, else 0. */
export const HAS_LEFT: usize = 64;
/** Table of each energy, u8 (with classes: of each class). */
export const TABLE_OF: usize = 68;
/** Room for 4 × CHUNK u16 and 64 bytes. */
export const ENERGIES: usize = 72;
/** Records of the lanes. */
export const LANE: usize = 76;
/** Tables: symbols of slots (decoder) or counts (encoder), and steps of symbols. */
export const SLOTS: usize = 80;
export const STEPS: usize = 84;
/** Encoder: the table of each coefficient, u8. */
export const NUMBERS: usize = 88;

/** Columns that are worked on at a time. */
export const CHUNK: u32 = 1024;
/** Larger magnitudes count as this much to their neighbours. */
export const CAP: u32 = 40;
/** A table's tokens start at a multiple of this. */
export const TOKEN_ROOM: u32 = 32;

/** First row of a lane. */
export function firstRow(task: usize, lane: u32): u32 {
  const rows = <u64>load<u32>(task, PLANES) * load<u32>(task, ROWS);
  return <u32>((<u64>lane * rows) / load<u32>(task, LANES));
}
