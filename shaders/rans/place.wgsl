// `rans` decoder, pass 3: from D to elements. One invocation fills the rows of one run and checks every symbol on the way;
// every workgroup sums the runs before its own anew, so that no dispatch is needed in between.

/** Whether elements are float16, two per word. */
override FEATURE_FLOAT16: bool = false;

/** The feature, all zero before; atomic because two float16 elements share a word. */
@group(0) @binding(4) var<storage, read_write> decoded: array<atomic<u32>>;

var<workgroup> wg_sum: array<u32, WORKGROUP>;

fn put(index: u32, pattern: u32) {
  if (FEATURE_FLOAT16) {
    atomicOr(&decoded[index >> 1u], pattern << ((index & 1u) * 16u));
  } else {
    atomicStore(&decoded[index], pattern);
  }
}

/** Fills a row whose elements begin at `taken` and lie within S. @returns what is wrong with it */
fn fillRow(row: u32, taken: u32, count: u32) -> u32 {
  var least = 0u;
  for (var k = taken; k < taken + count; k++) {
    let code = symbolAt(k);
    let column = symbolAt(params.present + k);
    if (code == params.zero || code > params.top) {
      return WRONG_CODE;
    }
    if (column < least || column >= params.columns) {
      return WRONG_COLUMN;
    }
    put(row * params.columns + column, input[params.first + params.valuesAt + code]);
    least = column + 1u;
  }
  return 0u;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(workgroup_id) group: vec3<u32>,
) {
  let firstRun = group.x * WORKGROUP;
  var sum = 0u;
  for (var run = index; run < min(firstRun, params.runs); run += WORKGROUP) {
    sum += runs[run];
  }
  wg_sum[index] = sum;
  workgroupBarrier();
  var taken = 0u;
  for (var i = 0u; i < WORKGROUP; i++) {
    taken += wg_sum[i];
  }
  workgroupBarrier();
  let run = firstRun + index;
  let isRun = run < params.runs;
  wg_sum[index] = select(0u, runs[min(run, params.runs - 1u)], isRun);
  workgroupBarrier();
  for (var i = 0u; i < index; i++) {
    taken += wg_sum[i];
  }
  if (!isRun) {
    return;
  }

  let end = min(params.rows, (run + 1u) * params.rowsPerRun);
  var wrong = 0u;
  for (var row = run * params.rowsPerRun; row < end; row++) {
    let count = symbolAt(2u * params.present + row);
    if (count > params.columns || taken > params.present || count > params.present - taken) {
      wrong = WRONG_COUNT;
      break;
    }
    wrong = fillRow(row, taken, count);
    if (wrong != 0u) {
      break;
    }
    taken += count;
  }
  if (wrong == 0u && run == params.runs - 1u && taken != params.present) {
    wrong = WRONG_SUM;
  }
  if (wrong != 0u) {
    atomicOr(&status, wrong);
  }
}
