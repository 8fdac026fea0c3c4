// Everything the passes of the SLICER encoder share: sizes, the uniform, the state between passes, the bindings.
// Group 0 belongs to the encoder and is made once per shape; group 1, the feature, is in feature.wgsl.

/** Invocations per workgroup: the one tuning knob. A multiple of 32, at most 256. */
override WORKGROUP: u32 = 256u;
/**
 * Which selection this is, see below. A constant of the pipeline and not a uniform, because it decides what happens to
 * every single element: the common case must not carry the arithmetic of weighted keys with it.
 */
override PHASE: u32 = 0u;

/** Elements one invocation owns in a tile: 32, so that it owns one word of the position bitmap. */
const ITEMS = 32u;
const MAX_BLOCKS = 16u;
/** 31-bit keys are narrowed down in three levels of 11, 10 and 10 bits. */
const FIRST_BINS = 2048u;
const BINS = 1024u;
/** Words per tile in `counts`: elements strictly between thresholds, ties of thresholds, first place per block. */
const COUNT_ROW = 48u;
const TIE_COLUMN = 16u;
const OFFSET_COLUMN = 32u;
/** Words before the payload in `output`: 4 for the host, then the params exactly as FORMAT.md has them. */
const HEADER_WORDS = 40u;

/** Signs compete alike: the rank of an element follows from its magnitude, one selection is enough. */
const PHASE_ONLY = 0u;
/** Signs compete differently, first selection: who survives, by weighted key. */
const PHASE_SURVIVE = 1u;
/** Second selection: block boundaries among the survivors, by magnitude. */
const PHASE_SPLIT = 2u;

const NOWHERE = 0xffffffffu;
const FLAG_CONST = 1u;
const FLAG_SANITISED = 2u;
const FLAG_SIGNED = 4u;

struct Params {
  /** T, and where element 0 lies in `feature`, in words. */
  count: u32,
  first: u32,
  /** K of FORMAT.md. */
  limit: u32,
  /** M, and how many order statistics this phase looks for (1 or M). */
  blocks: u32,
  ranks: u32,
  asymmetryQ8: u32,
  /** 0: step budget in Q16. 1: integer budget in Q8. */
  integerMode: u32,
  budget: u32,
  /** Bits of an index in positions mode 1; bits of a block id. */
  indexBits: u32,
  idBits: u32,
  tiles: u32,
}

/** What is known of the order statistics after a level. Ranks fall, so equal prefixes are neighbours. */
struct Level {
  /** Distinct prefixes, largest first, then zeros; after the third level these are the thresholds. */
  prefix: array<u32, 16>,
  /** How many elements share that prefix; filled in by the third level. */
  population: array<u32, 16>,
  /** Per rank: its prefix, and how many elements of that prefix are at or above the rank. */
  slot: array<u32, 16>,
  taken: array<u32, 16>,
  ranks: u32,
  slots: u32,
}

struct Block {
  lo: u32,
  hi: u32,
  size: u32,
}

/** State of one selection. The host zeroes all of it before the first pass. */
struct Selection {
  maxFinite: atomic<u32>,
  maxBits: atomic<u32>,
  /** Largest complement, so that zero is a neutral start for a minimum. */
  maxComplement: atomic<u32>,
  nans: atomic<u32>,
  plusInfinities: atomic<u32>,
  minusInfinities: atomic<u32>,
  /** Non-zero when an element that survives whatever the ties do is negative. */
  negatives: atomic<u32>,
  /** Complement of the lowest index of a negative tie at the last threshold. */
  negativeTie: atomic<u32>,
  /** Largest key strictly below each threshold's predecessor. */
  regionMax: array<atomic<u32>, 16>,
  /** One block of 2048 bins, then twice 16 slots of 1024 bins. */
  histogram: array<atomic<u32>, 34816>,
  /** Integer budget only: how often each 8-bit code occurs per block. */
  codes: array<atomic<u32>, 4096>,

  /** S and n of FORMAT.md, known after the first level. */
  survivors: u32,
  perBlock: u32,
  levels: array<Level, 3>,
  /** Per rank: elements equal to the threshold belong above it only when their index is below this. */
  cut: array<u32, 16>,
  /** E of FORMAT.md, and the fixed-point value of the largest survivor. */
  exponent: u32,
  maxFixed: u32,
  isSigned: u32,
  blocks: array<Block, 16>,
}

/** What outlives the first selection. */
struct Chosen {
  /** Largest finite magnitude: what an infinity becomes. */
  limit: u32,
  flags: u32,
  constBits: u32,
  survivors: u32,
  /** Survivors have a larger key than this, or the same key and an index below `cut`. */
  key: u32,
  cut: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> selection: Selection;
@group(0) @binding(2) var<storage, read_write> chosen: Chosen;
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;
/** Per survivor in rising index order: index | block << 24 | negative << 28. */
@group(0) @binding(4) var<storage, read_write> tags: array<u32>;
/** Fixed-point values of the survivors, grouped by block, rising index order within a block. */
@group(0) @binding(5) var<storage, read_write> grouped: array<u32>;
@group(0) @binding(6) var<storage, read_write> output: array<u32>;

fn tileSize() -> u32 {
  return WORKGROUP * ITEMS;
}

/** Rank (counted from 1) that closes block `block`. */
fn closingRank(block: u32, perBlock: u32, survivors: u32) -> u32 {
  return min((block + 1u) * perBlock, survivors);
}
