// What every pass of the `isthmus` encoder and decoder knows beforehand: sizes and rules. Letters are those of FORMAT.md.
// Without a profile C = R = 1 here, which comes to the same. What one of the two does not need is 0 there.

struct Params {
  /** T, and where element 0 lies in `feature`, in words. */
  count: u32,
  first: u32,
  /** P'·H·W. */
  symbols: u32,
  /** H, W and H·W; `stride` is H·W rounded up to whole vectors where the channel transform reads, else H·W. */
  rows: u32,
  columns: u32,
  area: u32,
  stride: u32,
  channels: u32,
  rank: u32,
  /** P/C. */
  batches: u32,
  blockRows: u32,
  blockColumns: u32,
  mapRows: u32,
  mapColumns: u32,
  /** E; 0: from the statistics. */
  exponent: u32,
  /** STEP_… of isthmusState.wgsl, and its number. */
  stepRule: u32,
  stepValue: u32,
  deadZone: u32,
  /** sA; decoding sB. */
  shift: u32,
  /** K. */
  tables: u32,
  lanesLog2: u32,
  /** P'·H. */
  lines: u32,
  /** From here on decoding only. What the step adds to every class; ρ1, ρ2. */
  classShift: i32,
  rhoOne: i32,
  rhoMore: i32,
  /** Limits of the decoded X. */
  lowest: i32,
  highest: i32,
  /** 1: SIGNED. */
  signBits: u32,
  /** Words from `first`: where lanes find their tables and their words. */
  sumsAt: u32,
  wordsAt: u32,
}

const BLOCK_LIMIT = 131072;
const CHANNEL_LIMIT = 65536;
const TOKENS = 27u;

@group(0) @binding(0) var<uniform> params: Params;

/** First row of a lane; floor(lane·lines/L) without leaving 32 bits. */
fn laneStart(lane: u32) -> u32 {
  let whole = params.lines >> params.lanesLog2;
  let rest = params.lines & ((1u << params.lanesLog2) - 1u);
  return lane * whole + ((lane * rest) >> params.lanesLog2);
}
