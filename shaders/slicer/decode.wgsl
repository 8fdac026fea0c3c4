// The only pass of the SLICER decoder. Every invocation takes 32 neighbours among the survivors; a scan of the chunk's
// block ids tells each its place among the codes of its block. The host has checked every bit of the payload, has walked
// the positions once (`starts`) and has put the values that codes stand for into tables, so nothing is computed in floats.

/** Invocations per workgroup, a multiple of 32, at most 256. */
override WORKGROUP: u32 = 256u;
/** Whether elements are float16, two per word. */
override FEATURE_FLOAT16: bool = false;

const ITEMS = 32u;
const MODE_BITMAP = 0u;
const MODE_LIST = 1u;
/** Words per block in the input: first word of its codes, their width, first word of its table. */
const BLOCK_WORDS = 3u;

/** Sections are word offsets from `first`. */
struct Params {
  count: u32,
  first: u32,
  survivors: u32,
  /** Positions mode of FORMAT.md; the positions are the payload's first section. */
  mode: u32,
  indexBits: u32,
  idBits: u32,
  ids: u32,
  signs: u32,
  isSigned: u32,
  blocks: u32,
  /** Per chunk and block: members before the chunk. */
  bases: u32,
  /** Bitmap only, per 32 survivors: index of the first of them. */
  starts: u32,
  chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
/** The feature, all zero before; atomic because two float16 elements share a word. */
@group(0) @binding(1) var<storage, read_write> decoded: array<atomic<u32>>;
@group(1) @binding(0) var<storage, read> input: array<u32>;

/** `width` ≤ 24 bits from bit `bit` of the section at `section`, lowest first. */
fn bitsAt(section: u32, bit: u32, width: u32) -> u32 {
  let at = params.first + section + (bit >> 5u);
  let shift = bit & 31u;
  var value = input[at] >> shift;
  if (shift + width > 32u) {
    value |= input[at + 1u] << (32u - shift);
  }
  return value & ((1u << width) - 1u);
}

fn blockOf(rank: u32) -> u32 {
  if (params.idBits == 0u) {
    return 0u;
  }
  return bitsAt(params.ids, rank * params.idBits, params.idBits);
}

/** The first set bit of the bitmap at or after `index`; there is one. */
fn nextSurvivor(index: u32) -> u32 {
  var word = index >> 5u;
  var ones = input[params.first + word] & (0xffffffffu << (index & 31u));
  let last = params.count / 32u;
  while (ones == 0u && word < last) {
    word++;
    ones = input[params.first + word];
  }
  return word * 32u + countTrailingZeros(ones);
}

fn put(index: u32, pattern: u32, isNegative: bool) {
  if (FEATURE_FLOAT16) {
    let half = pattern | select(0u, 0x8000u, isNegative);
    atomicOr(&decoded[index >> 1u], half << ((index & 1u) * 16u));
  } else {
    atomicStore(&decoded[index], pattern | select(0u, 0x80000000u, isNegative));
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let place = scanPlace(lane);
  let row = place * 8u;
  for (var chunk = group.x; chunk < params.chunks; chunk += groups.x) {
    let start = (chunk * WORKGROUP + place) * ITEMS;
    let end = min(start + ITEMS, params.survivors);
    var packed = vec4<u32>(0u);
    for (var rank = start; rank < end; rank++) {
      packed = bump(packed, blockOf(rank));
    }
    scanTile(packed, place);

    var index = 0u;
    if (params.mode == MODE_BITMAP && start < end) {
      index = input[params.first + params.starts + start / ITEMS];
    }
    for (var rank = start; rank < end; rank++) {
      let block = blockOf(rank);
      let member = input[params.first + params.bases + (chunk << params.idBits) + block] + scanned(row, block);
      wg_scan[row + (block >> 1u)] += 1u << ((block & 1u) * 16u);
      let about = params.first + params.blocks + block * BLOCK_WORDS;
      let width = input[about + 1u];
      var code = 0u;
      if (width > 0u) {
        code = bitsAt(input[about], member * width, width);
      }
      switch params.mode {
        case MODE_BITMAP: {
          index = nextSurvivor(index);
        }
        case MODE_LIST: {
          index = bitsAt(0u, rank * params.indexBits, params.indexBits);
        }
        default: {
          index = rank;
        }
      }
      let isNegative = params.isSigned > 0u && bitsAt(params.signs, rank, 1u) > 0u;
      put(index, input[params.first + input[about + 2u] + code], isNegative);
      index++;
    }
    workgroupBarrier();
  }
}
