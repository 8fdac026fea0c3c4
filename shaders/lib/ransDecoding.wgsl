// What the three passes of the `rans` decoder share: the header, as checked by the host, and the order in which D lies in
// memory while it is decoded.

/** Invocations per workgroup. */
override WORKGROUP: u32 = 256u;

/** Bits of `status` beside those of a lane (ransTake.wgsl). The host has the words for them. */
const WRONG_CODE = 8u;
const WRONG_COLUMN = 16u;
const WRONG_COUNT = 32u;
const WRONG_SUM = 64u;

/** Places in the input are words from `first`. */
struct Params {
  /** T */
  count: u32,
  first: u32,
  lanesLog2: u32,
  /** |D| */
  symbols: u32,
  /** S, N and K. */
  present: u32,
  rows: u32,
  columns: u32,
  /** z and n. */
  zero: u32,
  top: u32,
  /** What each of the 4096 slots stands for: symbol | (frequency - 1) << 8 | (slot - sum) << 20. */
  slotsAt: u32,
  /** Patterns of the values that codes stand for. */
  valuesAt: u32,
  wordsAt: u32,
  /** Rows are dealt to invocations in runs of this many. */
  rowsPerRun: u32,
  runs: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
/**
 * D, four symbols of one lane per word. Words of neighbouring lanes are neighbours: lanes that go side by side write, and
 * invocations that read D in its order read, words that lie together.
 */
@group(0) @binding(1) var<storage, read_write> symbols: array<u32>;
/** The sum of the row counts of each run. */
@group(0) @binding(2) var<storage, read_write> runs: array<u32>;
@group(0) @binding(3) var<storage, read_write> status: atomic<u32>;
@group(1) @binding(0) var<storage, read> input: array<u32>;

/** Symbol `i` of D, below |D|. */
fn symbolAt(i: u32) -> u32 {
  let lane = i & ((1u << params.lanesLog2) - 1u);
  let step = i >> params.lanesLog2;
  return (symbols[((step >> 2u) << params.lanesLog2) + lane] >> ((step & 3u) * 8u)) & 255u;
}
