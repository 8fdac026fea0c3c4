// Decodes columns of one row of one lane of family `isthmus`; isthmusFourRows.ts does the same for four lanes at a time.
import { CAP, HAS_LEFT, SIGNED, SLOTS, STEPS, TABLE_OF, TOKEN_ROOM } from './isthmusTask';

/**
 * @param record of the lane: state, address of the next word, end of the words, three times the magnitude to the left
 * @param energies of the columns, from energiesOf; the coefficients take their places, i16
 * @param from the first column
 * @returns the tokens or-ed
 */
export function decodeRow(task: usize, record: usize, energies: usize, from: u32, count: u32): u32 {
  const tableOf = <usize>load<u32>(task, TABLE_OF);
  let hasLeft = <usize>load<u32>(task, HAS_LEFT) + from;
  const slots = <usize>load<u32>(task, SLOTS);
  const steps = <usize>load<u32>(task, STEPS);
  const signed = load<u32>(task, SIGNED);
  let s = load<u32>(record, 0);
  let p = <usize>load<u32>(record, 4);
  let left = load<u32>(record, 12);
  let all: u32 = 0;
  for (const end = energies + (count << 1); energies < end; energies += 2, hasLeft++) {
    const has = <u32>load<u8>(hasLeft);
    const k = <u32>load<u8>(tableOf + <u32>load<u16>(energies) + (left & has));
    const t = <u32>load<u8>(slots + (k << 12) + (s & 4095));
    const e = load<u32>(steps + k * (4 * TOKEN_ROOM) + (t << 2));
    s = s - (e >>> 16) * (s >>> 12) - (e & 0xffff);
    const low = s < 0x10000;
    s = select<u32>((s << 16) | <u32>load<u16>(p), s, low);
    p += (<usize>low) << 1;
    let m = t;
    let negative: u32 = 0;
    if (t >= 15) {
      const width = t - 15 + signed;
      const raw = (s & 4095) >>> (12 - width);
      s = ((s >>> 12) << (12 - width)) | (s & ((1 << (12 - width)) - 1));
      m = 14 + (1 << (t - 15)) + (raw >>> signed);
      negative = raw & signed;
      const again = s < 0x10000;
      s = select<u32>((s << 16) | <u32>load<u16>(p), s, again);
      p += (<usize>again) << 1;
    } else if (signed) {
      const some = t !== 0;
      negative = (s >>> 11) & <u32>some;
      s = select<u32>(((s >>> 12) << 11) | (s & 2047), s, some);
      const again = s < 0x10000;
      s = select<u32>((s << 16) | <u32>load<u16>(p), s, again);
      p += (<usize>again) << 1;
    }
    left = 3 * min(m, CAP);
    store<u16>(energies, (m ^ (0 - negative)) + negative);
    all |= t;
  }
  store<u32>(record, s, 0);
  store<u32>(record, <u32>p, 4);
  store<u32>(record, left, 12);
  return all;
}
