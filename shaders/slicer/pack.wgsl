// Pass 7 of the SLICER encoder. Chooses the bit widths (every workgroup anew: at most 16 blocks), lays out the payload
// and packs it: one invocation takes 32 values of b bits and owns the b whole words they fill, so no two invocations
// write the same word and nothing needs zeroing or atomics. Workgroup 0 writes the header that the host reads.

const SECTION_POSITIONS = 0u;
const SECTION_BLOCKS = 1u;
const SECTION_SIGNS = 2u;
const SECTION_CODES = 3u;
const SECTIONS = 19u;

struct Section {
  /** Groups of 32 values before this section, and values in it. */
  firstGroup: u32,
  values: u32,
  width: u32,
  /** First word, counted from the start of `output`. */
  word: u32,
}

/** Three sections, then the codes of each block. */
var<workgroup> wg_section: array<Section, 19>;
var<workgroup> wg_groups: u32;
var<workgroup> wg_end: u32;
/** Σ |q8 - rounded q8| per block and dropped bits, for the integer budget. */
var<workgroup> wg_error: array<u32, 128>;

fn sumErrors(lane: u32) {
  for (var pair = lane; pair < 128u; pair += WORKGROUP) {
    let block = pair >> 3u;
    let drop = pair & 7u;
    let half = select(0u, 1u << (max(drop, 1u) - 1u), drop > 0u);
    var sum = 0u;
    if (params.integerMode == 1u && drop > 0u && selection.blocks[block].size > 0u) {
      for (var code = 0u; code < 256u; code++) {
        let rounded = ((code + half) >> drop) << drop;
        sum += atomicLoad(&selection.codes[block * 256u + code]) * (max(code, rounded) - min(code, rounded));
      }
    }
    wg_error[pair] = sum;
  }
}

/** ABQ of FORMAT.md. */
fn widthOf(index: u32) -> u32 {
  let block = selection.blocks[index];
  let range = block.hi - block.lo;
  if (range == 0u) {
    return 0u;
  }
  let step = ((selection.maxFixed >> 8u) * params.budget) >> 8u;
  let allowed = (block.size >> 8u) * params.budget + (((block.size & 255u) * params.budget) >> 8u);
  for (var width = 1u; width < 8u; width++) {
    if (params.integerMode == 1u) {
      if (wg_error[index * 8u + 8u - width] <= allowed) {
        return width;
      }
    } else if (((1u << width) - 1u) * step >= range) {
      return width;
    }
  }
  return 8u;
}

fn layOut() {
  let survivors = selection.survivors;
  let mode = positionsMode(survivors);
  var group = 0u;
  var word = HEADER_WORDS;
  for (var section = 0u; section < SECTIONS; section++) {
    var values = survivors;
    var width = 0u;
    switch section {
      case SECTION_POSITIONS: {
        width = select(0u, params.indexBits, mode == 1u);
      }
      case SECTION_BLOCKS: {
        width = params.idBits;
      }
      case SECTION_SIGNS: {
        width = select(0u, 1u, selection.isSigned > 0u);
      }
      default: {
        let block = section - SECTION_CODES;
        values = selection.blocks[block].size;
        width = select(0u, widthOf(block), values > 0u);
      }
    }
    values = select(0u, values, width > 0u);
    wg_section[section] = Section(group, values, width, word);
    group += (values + 31u) >> 5u;
    // 2^24 values of at most 24 bits: the product fits.
    word += wordsOf(values * width);
    if (section == SECTION_POSITIONS && mode == 0u) {
      word += positionWords(mode, survivors); // the bitmap is there already
    }
  }
  wg_groups = group;
  wg_end = word;
}

fn writeHeader() {
  let isConst = (chosen.flags & FLAG_CONST) > 0u;
  output[0] = chosen.flags | selection.isSigned;
  output[1] = chosen.constBits;
  output[2] = select(wg_end - HEADER_WORDS, 0u, isConst);
  output[3] = 0u;
  output[4] = selection.survivors;
  output[5] = selection.exponent | (positionsMode(selection.survivors) << 8u) | (params.blocks << 16u);
  for (var index = 0u; index < params.blocks; index++) {
    let block = selection.blocks[index];
    output[6u + 2u * index] = block.lo | (wg_section[SECTION_CODES + index].width << 24u);
    output[7u + 2u * index] = block.hi;
  }
}

fn valueAt(section: u32, at: u32, width: u32) -> u32 {
  switch section {
    case SECTION_POSITIONS: {
      return tags[at] & 0xffffffu;
    }
    case SECTION_BLOCKS: {
      return (tags[at] >> 24u) & 15u;
    }
    case SECTION_SIGNS: {
      return tags[at] >> 28u;
    }
    default: {
      let block = section - SECTION_CODES;
      let bounds = selection.blocks[block];
      return codeOf(grouped[block * selection.perBlock + at], bounds.lo, bounds.hi, width);
    }
  }
}

fn packGroup(group: u32) {
  var section = SECTIONS - 1u;
  while (section > 0u && (wg_section[section].values == 0u || wg_section[section].firstGroup > group)) {
    section--;
  }
  let packed = wg_section[section];
  let first = (group - packed.firstGroup) * 32u;
  let end = min(first + 32u, packed.values);
  var word = packed.word + (group - packed.firstGroup) * packed.width;
  var filling = 0u;
  var filled = 0u;
  for (var at = first; at < end; at++) {
    let value = valueAt(section, at, packed.width);
    filling |= value << filled;
    filled += packed.width;
    if (filled >= 32u) {
      output[word] = filling;
      word++;
      filled -= 32u;
      filling = select(0u, value >> (packed.width - filled), filled > 0u);
    }
  }
  if (filled > 0u) {
    output[word] = filling;
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  sumErrors(lane);
  workgroupBarrier();
  if (lane == 0u) {
    layOut();
  }
  workgroupBarrier();
  if (group.x == 0u && lane == 0u) {
    writeHeader();
  }
  for (var g = group.x * WORKGROUP + lane; g < wg_groups; g += groups.x * WORKGROUP) {
    packGroup(g);
  }
}
