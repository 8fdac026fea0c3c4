// Everything the passes of the `rans` encoder share: sizes, the uniform, the state between passes, the bindings.
// Group 0 belongs to the encoder and is made once per shape; group 1 is the feature.

/** Invocations per workgroup, a multiple of 32 up to 256. */
override WORKGROUP: u32 = 256u;

/** Bitmap words per segment: what one invocation scatters. */
const SEGMENT_WORDS = 4u;
const SYMBOLS = 256u;
const MAX_COLUMNS = 255u;
/** Widths of the matrix that compete by their exact price. */
const CANDIDATES = 3u;
const FLAG_CONST = 1u;
const FLAG_SANITISED = 2u;
const HAS_PLUS_INFINITY = 1u;
const HAS_MINUS_INFINITY = 2u;
const HAS_NAN = 4u;

struct Params {
  /** T, and where element 0 lies in `feature`, in words. */
  count: u32,
  first: u32,
  /** Q. */
  bits: u32,
  /** Lanes asked for; 0: chosen from the number of symbols. */
  lanes: u32,
  /** Words of the bitmap, and segments of SEGMENT_WORDS of them. */
  words: u32,
  segments: u32,
}

struct State {
  /** Largest finite magnitude without and with a sign bit; complement of the smallest pattern; HAS_… bits. */
  maxPositive: atomic<u32>,
  maxNegative: atomic<u32>,
  maxComplement: atomic<u32>,
  nonFinite: atomic<u32>,
  /** How often each code but that of zero occurs. */
  values: array<atomic<u32>, SYMBOLS>,
  /** Columns and row counts of each candidate. */
  bins: array<atomic<u32>, 768>,
  /** Widths that compete; 0 for none. */
  candidates: array<u32, CANDIDATES>,
  /** S, and K of FORMAT.md; K = 0 for a constant. */
  present: u32,
  columns: u32,
  /** Packed step per symbol, see ransCoder.wgsl. */
  steps: array<u32, SYMBOLS>,
}

/** What the host reads, beside lanes and words. */
struct Header {
  flags: u32,
  constBits: u32,
  exponent: u32,
  /** -lo and hi of FORMAT.md. */
  below: u32,
  above: u32,
  columns: u32,
  present: u32,
  reserved: u32,
  frequencies: array<u32, SYMBOLS>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> state: State;
/** Present elements per segment; from `choose` on those of all earlier segments. */
@group(0) @binding(2) var<storage, read_write> segments: array<atomic<u32>>;
/** The bitmap of present elements, then their codes, four per word. */
@group(0) @binding(3) var<storage, read_write> elements: array<u32>;
@group(0) @binding(4) var<storage, read_write> steps: array<u32>;
@group(0) @binding(5) var<storage, read_write> lanes: Lanes;
@group(0) @binding(6) var<storage, read_write> header: Header;

/** Present elements among first … end - 1. */
fn presentIn(first: u32, end: u32) -> u32 {
  let lastWord = (end - 1u) >> 5u;
  var sum = 0u;
  for (var word = first >> 5u; word <= lastWord; word++) {
    var bits = elements[word];
    if (word == first >> 5u) {
      bits &= 0xffffffffu << (first & 31u);
    }
    if (word == lastWord) {
      bits &= 0xffffffffu >> (31u - ((end - 1u) & 31u));
    }
    sum += countOneBits(bits);
  }
  return sum;
}
