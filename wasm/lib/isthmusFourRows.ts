// What isthmusRow.ts does, for a row each of four lanes at once, because the steps of one lane wait for one another.
import { CAP, CHUNK, HAS_LEFT, SIGNED, SLOTS, STEPS, TABLE_OF, TOKEN_ROOM } from './isthmusTask';

/**
 * @param record of the lanes: state, address of the next word, end of the words, three times the magnitude to the left
 * @param energies of the columns, from energiesOf, CHUNK apart; the coefficients take their places, i16
 * @param from the first column
 * @returns the tokens or-ed
 */
export function decodeFourRows(task: usize, record: usize, energies: usize, from: u32, count: u32): u32 {
  const tableOf = <usize>load<u32>(task, TABLE_OF);
  let hasLeft = <usize>load<u32>(task, HAS_LEFT) + from;
  const slots = <usize>load<u32>(task, SLOTS);
  const steps = <usize>load<u32>(task, STEPS);
  const signed = load<u32>(task, SIGNED);
  let s0 = load<u32>(record, 0);
  let p0 = <usize>load<u32>(record, 4);
  let left0 = load<u32>(record, 12);
  let s1 = load<u32>(record, 16);
  let p1 = <usize>load<u32>(record, 20);
  let left1 = load<u32>(record, 28);
  let s2 = load<u32>(record, 32);
  let p2 = <usize>load<u32>(record, 36);
  let left2 = load<u32>(record, 44);
  let s3 = load<u32>(record, 48);
  let p3 = <usize>load<u32>(record, 52);
  let left3 = load<u32>(record, 60);
  let all: u32 = 0;
  for (const end = energies + (count << 1); energies < end; energies += 2, hasLeft++) {
    const has = <u32>load<u8>(hasLeft);
    const k0 = <u32>load<u8>(tableOf + <u32>load<u16>(energies) + (left0 & has));
    const k1 = <u32>load<u8>(tableOf + <u32>load<u16>(energies, 1 * 2 * CHUNK) + (left1 & has));
    const k2 = <u32>load<u8>(tableOf + <u32>load<u16>(energies, 2 * 2 * CHUNK) + (left2 & has));
    const k3 = <u32>load<u8>(tableOf + <u32>load<u16>(energies, 3 * 2 * CHUNK) + (left3 & has));
    const t0 = <u32>load<u8>(slots + (k0 << 12) + (s0 & 4095));
    const t1 = <u32>load<u8>(slots + (k1 << 12) + (s1 & 4095));
    const t2 = <u32>load<u8>(slots + (k2 << 12) + (s2 & 4095));
    const t3 = <u32>load<u8>(slots + (k3 << 12) + (s3 & 4095));
    const e0 = load<u32>(steps + k0 * (4 * TOKEN_ROOM) + (t0 << 2));
    const e1 = load<u32>(steps + k1 * (4 * TOKEN_ROOM) + (t1 << 2));
    const e2 = load<u32>(steps + k2 * (4 * TOKEN_ROOM) + (t2 << 2));
    const e3 = load<u32>(steps + k3 * (4 * TOKEN_ROOM) + (t3 << 2));
    s0 = s0 - (e0 >>> 16) * (s0 >>> 12) - (e0 & 0xffff);
    s1 = s1 - (e1 >>> 16) * (s1 >>> 12) - (e1 & 0xffff);
    s2 = s2 - (e2 >>> 16) * (s2 >>> 12) - (e2 & 0xffff);
    s3 = s3 - (e3 >>> 16) * (s3 >>> 12) - (e3 & 0xffff);
    const low0 = s0 < 0x10000;
    const low1 = s1 < 0x10000;
    const low2 = s2 < 0x10000;
    const low3 = s3 < 0x10000;
    s0 = select<u32>((s0 << 16) | <u32>load<u16>(p0), s0, low0);
    s1 = select<u32>((s1 << 16) | <u32>load<u16>(p1), s1, low1);
    s2 = select<u32>((s2 << 16) | <u32>load<u16>(p2), s2, low2);
    s3 = select<u32>((s3 << 16) | <u32>load<u16>(p3), s3, low3);
    p0 += (<usize>low0) << 1;
    p1 += (<usize>low1) << 1;
    p2 += (<usize>low2) << 1;
    p3 += (<usize>low3) << 1;
    let m0 = t0;
    let negative0: u32 = 0;
    let m1 = t1;
    let negative1: u32 = 0;
    let m2 = t2;
    let negative2: u32 = 0;
    let m3 = t3;
    let negative3: u32 = 0;
    if (t0 >= 15) {
      const width = t0 - 15 + signed;
      const raw = (s0 & 4095) >>> (12 - width);
      s0 = ((s0 >>> 12) << (12 - width)) | (s0 & ((1 << (12 - width)) - 1));
      m0 = 14 + (1 << (t0 - 15)) + (raw >>> signed);
      negative0 = raw & signed;
      const again0 = s0 < 0x10000;
      s0 = select<u32>((s0 << 16) | <u32>load<u16>(p0), s0, again0);
      p0 += (<usize>again0) << 1;
    } else if (signed) {
      const some = t0 !== 0;
      negative0 = (s0 >>> 11) & <u32>some;
      s0 = select<u32>(((s0 >>> 12) << 11) | (s0 & 2047), s0, some);
      const again0 = s0 < 0x10000;
      s0 = select<u32>((s0 << 16) | <u32>load<u16>(p0), s0, again0);
      p0 += (<usize>again0) << 1;
    }
    if (t1 >= 15) {
      const width = t1 - 15 + signed;
      const raw = (s1 & 4095) >>> (12 - width);
      s1 = ((s1 >>> 12) << (12 - width)) | (s1 & ((1 << (12 - width)) - 1));
      m1 = 14 + (1 << (t1 - 15)) + (raw >>> signed);
      negative1 = raw & signed;
      const again1 = s1 < 0x10000;
      s1 = select<u32>((s1 << 16) | <u32>load<u16>(p1), s1, again1);
      p1 += (<usize>again1) << 1;
    } else if (signed) {
      const some = t1 !== 0;
      negative1 = (s1 >>> 11) & <u32>some;
      s1 = select<u32>(((s1 >>> 12) << 11) | (s1 & 2047), s1, some);
      const again1 = s1 < 0x10000;
      s1 = select<u32>((s1 << 16) | <u32>load<u16>(p1), s1, again1);
      p1 += (<usize>again1) << 1;
    }
    if (t2 >= 15) {
      const width = t2 - 15 + signed;
      const raw = (s2 & 4095) >>> (12 - width);
      s2 = ((s2 >>> 12) << (12 - width)) | (s2 & ((1 << (12 - width)) - 1));
      m2 = 14 + (1 << (t2 - 15)) + (raw >>> signed);
      negative2 = raw & signed;
      const again2 = s2 < 0x10000;
      s2 = select<u32>((s2 << 16) | <u32>load<u16>(p2), s2, again2);
      p2 += (<usize>again2) << 1;
    } else if (signed) {
      const some = t2 !== 0;
      negative2 = (s2 >>> 11) & <u32>some;
      s2 = select<u32>(((s2 >>> 12) << 11) | (s2 & 2047), s2, some);
      const again2 = s2 < 0x10000;
      s2 = select<u32>((s2 << 16) | <u32>load<u16>(p2), s2, again2);
      p2 += (<usize>again2) << 1;
    }
    if (t3 >= 15) {
      const width = t3 - 15 + signed;
      const raw = (s3 & 4095) >>> (12 - width);
      s3 = ((s3 >>> 12) << (12 - width)) | (s3 & ((1 << (12 - width)) - 1));
      m3 = 14 + (1 << (t3 - 15)) + (raw >>> signed);
      negative3 = raw & signed;
      const again3 = s3 < 0x10000;
      s3 = select<u32>((s3 << 16) | <u32>load<u16>(p3), s3, again3);
      p3 += (<usize>again3) << 1;
    } else if (signed) {
      const some = t3 !== 0;
      negative3 = (s3 >>> 11) & <u32>some;
      s3 = select<u32>(((s3 >>> 12) << 11) | (s3 & 2047), s3, some);
      const again3 = s3 < 0x10000;
      s3 = select<u32>((s3 << 16) | <u32>load<u16>(p3), s3, again3);
      p3 += (<usize>again3) << 1;
    }
    left0 = 3 * min(m0, CAP);
    left1 = 3 * min(m1, CAP);
    left2 = 3 * min(m2, CAP);
    left3 = 3 * min(m3, CAP);
    store<u16>(energies, (m0 ^ (0 - negative0)) + negative0);
    store<u16>(energies, (m1 ^ (0 - negative1)) + negative1, 1 * 2 * CHUNK);
    store<u16>(energies, (m2 ^ (0 - negative2)) + negative2, 2 * 2 * CHUNK);
    store<u16>(energies, (m3 ^ (0 - negative3)) + negative3, 3 * 2 * CHUNK);
    all |= t0 | t1 | t2 | t3;
  }
  store<u32>(record, s0, 0);
  store<u32>(record, <u32>p0, 4);
  store<u32>(record, left0, 12);
  store<u32>(record, s1, 16);
  store<u32>(record, <u32>p1, 20);
  store<u32>(record, left1, 28);
  store<u32>(record, s2, 32);
  store<u32>(record, <u32>p2, 36);
  store<u32>(record, left2, 44);
  store<u32>(record, s3, 48);
  store<u32>(record, <u32>p3, 52);
  store<u32>(record, left3, 60);
  return all;
}
