// What the passes of the `isthmus` decoder share beside the numbers of isthmusParams.wgsl. The host has checked header and
// tables, and that the stream's lanes lie within the payload; only the lanes themselves are checked here.

/** Invocations per workgroup. */
override WORKGROUP: u32 = 256u;

/** Bits of `status`: what is wrong with some lane. The host has the words for it. */
const TOO_FEW_WORDS = 1u;
const WORDS_LEFT = 2u;
const WRONG_END = 4u;
const UNSENT_TABLE = 8u;

@group(0) @binding(1) var<storage, read_write> status: atomic<u32>;
