// Taking steps from a lane of the entropy coder (FORMAT.md, "Lanes"), for any family. The host has checked that every lane
// lies within the stream; whatever its words are, no word beyond the lane's own is taken.
//
// `input`, in words from params.first: starting states; 16-bit words before each lane, and of all; somewhere, at
// params.wordsAt, the words, two per entry, and one more entry.

/** What can be wrong with a lane; bits. */
const TOO_FEW_WORDS = 1u;
const WORDS_LEFT = 2u;
const WRONG_END = 4u;

var<private> pv_state: u32;
/** The next word and its place. It is fetched a step or more before it is wanted, so that the chain of states need not wait. */
var<private> pv_word: u32;
var<private> pv_next: u32;
var<private> pv_end: u32;
var<private> pv_wrong: u32;

fn fetchWord() {
  pv_word = (input[params.first + params.wordsAt + (pv_next >> 1u)] >> ((pv_next & 1u) * 16u)) & 0xffffu;
}

fn beginLane(lane: u32, lanes: u32) {
  pv_state = input[params.first + lane];
  pv_next = input[params.first + lanes + lane];
  pv_end = input[params.first + lanes + lane + 1u];
  pv_wrong = 0u;
  fetchWord();
}

/** `offset`: how far into the step's range the slot is. */
fn advance(frequency: u32, offset: u32) {
  pv_state = frequency * (pv_state >> 12u) + offset;
  if (pv_state < 0x10000u) {
    if (pv_next == pv_end) {
      pv_wrong = TOO_FEW_WORDS;
      return;
    }
    pv_state = (pv_state << 16u) | pv_word;
    pv_next++;
    fetchWord();
  }
}

/** What is wrong with the lane once all its steps are taken; 0: nothing. */
fn endLane() -> u32 {
  if (pv_wrong == 0u) {
    pv_wrong = select(select(0u, WRONG_END, pv_state != 0x10000u), WORDS_LEFT, pv_next != pv_end);
  }
  return pv_wrong;
}
