// `isthmus` decoder: one invocation decodes one lane, first symbol first. Each symbol is written before the next one's table is
// looked up, because its neighbours decide it; lanes look at nothing of one another. Whatever the words are, every loop ends
// with the lane's symbols and no word beyond the lane's own is read.
//
// Input, in words from `first`: starting states; words before each lane, and of all; the tables at `sumsAt`, each as its 28
// sums from 0 to 4096, where 1 in place of 0 stands for one that was not sent; the words at `wordsAt`, two per entry.

@group(0) @binding(2) var<storage, read_write> quantised: array<i32>;
@group(1) @binding(0) var<storage, read> input: array<u32>;

var<private> pv_state: u32;
var<private> pv_next: u32;
var<private> pv_end: u32;
var<private> pv_wrong: u32;

fn magnitudeAt(at: u32) -> u32 {
  return u32(abs(quantised[at]));
}

/** `offset`: how far into the symbol's range the slot is. */
fn advance(frequency: u32, offset: u32) {
  pv_state = frequency * (pv_state >> 12u) + offset;
  if (pv_state < 0x10000u) {
    if (pv_next == pv_end) {
      pv_wrong = TOO_FEW_WORDS;
      return;
    }
    let word = input[params.first + params.wordsAt + (pv_next >> 1u)] >> ((pv_next & 1u) * 16u);
    pv_state = (pv_state << 16u) | (word & 0xffffu);
    pv_next++;
  }
}

/** A symbol with table `number`, its sign included. */
fn take(number: u32) -> i32 {
  let sums = params.first + params.sumsAt + number * (TOKENS + 1u);
  if (input[sums] != 0u) {
    pv_wrong = UNSENT_TABLE;
    return 0;
  }
  let slot = pv_state & 4095u;
  var token = 0u;
  var below = 0u;
  var above = input[sums + 1u];
  while (above <= slot && token < TOKENS - 1u) { // the last sum is 4096
    token++;
    below = above;
    above = input[sums + token + 1u];
  }
  advance(above - below, slot - below);
  if (token == 0u) {
    return 0;
  }
  let extraBits = max(token, 15u) - 15u;
  let rawBits = extraBits + params.signBits;
  var raw = 0u;
  if (rawBits > 0u) {
    let rest = pv_state & 4095u;
    let frequency = 4096u >> rawBits;
    raw = rest / frequency;
    advance(frequency, rest % frequency);
  }
  let isNegative = (raw & params.signBits) == 1u;
  let magnitude = select(14u + (1u << extraBits) + (raw >> params.signBits), token, token < 15u);
  return select(i32(magnitude), -i32(magnitude), isNegative);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let lanes = 1u << params.lanesLog2;
  if (id.x >= lanes) {
    return;
  }
  pv_state = input[params.first + id.x];
  pv_next = input[params.first + lanes + id.x];
  pv_end = input[params.first + lanes + id.x + 1u];
  pv_classShift = params.classShift;
  let firstLine = laneStart(id.x);
  let endLine = laneStart(id.x + 1u);
  var place = Place(firstLine / params.rows, firstLine % params.rows, 0u, 0u);
  var at = firstLine * params.columns;
  for (var line = firstLine; line < endLine && pv_wrong == 0u; line++) {
    place.linesInLane = line - firstLine;
    for (var column = 0u; column < params.columns; column++) {
      place.column = column;
      quantised[at] = take(tableAt(at, place));
      at++;
      if (pv_wrong != 0u) {
        break;
      }
    }
    place.row++;
    if (place.row == params.rows) {
      place.row = 0u;
      place.plane++;
    }
  }
  if (pv_wrong == 0u) {
    pv_wrong = select(select(0u, WRONG_END, pv_state != 0x10000u), WORDS_LEFT, pv_next != pv_end);
  }
  if (pv_wrong != 0u) {
    atomicOr(&status, pv_wrong);
  }
}
