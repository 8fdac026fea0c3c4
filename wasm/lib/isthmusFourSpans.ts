// What isthmusSpan.ts does, for as many coefficients of four lanes at once, because the steps of one lane wait for one another.
import { NUMBERS, QUANTISED, SIGNED, STEPS } from './isthmusTask';

/** The `count` coefficients before number `end0` in the first lane, and so on. @param lane the lanes' records, see stream.ts */
export function encodeFourSpans(
  task: usize,
  lane: usize,
  end0: u32,
  end1: u32,
  end2: u32,
  end3: u32,
  count: u32,
): void {
  const steps = <usize>load<u32>(task, STEPS);
  const signed = load<u32>(task, SIGNED);
  const quantised = <usize>load<u32>(task, QUANTISED);
  const numbers = <usize>load<u32>(task, NUMBERS);
  let x0 = load<u32>(lane, 0);
  let p0 = <usize>load<u32>(lane, 4);
  let q0 = quantised + (end0 << 1);
  let n0 = numbers + end0;
  let x1 = load<u32>(lane, 16);
  let p1 = <usize>load<u32>(lane, 20);
  let q1 = quantised + (end1 << 1);
  let n1 = numbers + end1;
  let x2 = load<u32>(lane, 32);
  let p2 = <usize>load<u32>(lane, 36);
  let q2 = quantised + (end2 << 1);
  let n2 = numbers + end2;
  let x3 = load<u32>(lane, 48);
  let p3 = <usize>load<u32>(lane, 52);
  let q3 = quantised + (end3 << 1);
  let n3 = numbers + end3;
  for (; count > 0; --count) {
    const v0 = <i32>load<i16>(q0 - 2);
    const v1 = <i32>load<i16>(q1 - 2);
    const v2 = <i32>load<i16>(q2 - 2);
    const v3 = <i32>load<i16>(q3 - 2);
    const m0 = <u32>abs(v0);
    let t0 = m0;
    const m1 = <u32>abs(v1);
    let t1 = m1;
    const m2 = <u32>abs(v2);
    let t2 = m2;
    const m3 = <u32>abs(v3);
    let t3 = m3;
    if (m0 >= 15) {
      const bits = 31 - clz(m0 - 14);
      const width = bits + signed;
      t0 = 15 + bits;
      if (width > 0) {
        const raw = ((m0 - 14 - (1 << bits)) << signed) | (signed & <u32>(v0 < 0));
        const high = x0 >>> (32 - width) !== 0;
        store<u16>(p0 - 2, x0);
        p0 -= (<usize>high) << 1;
        x0 = select<u32>(x0 >>> 16, x0, high);
        x0 = ((x0 >>> (12 - width)) << 12) | (raw << (12 - width)) | (x0 & ((1 << (12 - width)) - 1));
      }
    } else if (signed) {
      const some = m0 !== 0;
      const high = some & (<i32>x0 < 0);
      store<u16>(p0 - 2, x0);
      p0 -= (<usize>high) << 1;
      x0 = select<u32>(x0 >>> 16, x0, high);
      x0 = select<u32>(((x0 >>> 11) << 12) | ((<u32>(v0 < 0)) << 11) | (x0 & 2047), x0, some);
    }
    if (m1 >= 15) {
      const bits = 31 - clz(m1 - 14);
      const width = bits + signed;
      t1 = 15 + bits;
      if (width > 0) {
        const raw = ((m1 - 14 - (1 << bits)) << signed) | (signed & <u32>(v1 < 0));
        const high = x1 >>> (32 - width) !== 0;
        store<u16>(p1 - 2, x1);
        p1 -= (<usize>high) << 1;
        x1 = select<u32>(x1 >>> 16, x1, high);
        x1 = ((x1 >>> (12 - width)) << 12) | (raw << (12 - width)) | (x1 & ((1 << (12 - width)) - 1));
      }
    } else if (signed) {
      const some = m1 !== 0;
      const high = some & (<i32>x1 < 0);
      store<u16>(p1 - 2, x1);
      p1 -= (<usize>high) << 1;
      x1 = select<u32>(x1 >>> 16, x1, high);
      x1 = select<u32>(((x1 >>> 11) << 12) | ((<u32>(v1 < 0)) << 11) | (x1 & 2047), x1, some);
    }
    if (m2 >= 15) {
      const bits = 31 - clz(m2 - 14);
      const width = bits + signed;
      t2 = 15 + bits;
      if (width > 0) {
        const raw = ((m2 - 14 - (1 << bits)) << signed) | (signed & <u32>(v2 < 0));
        const high = x2 >>> (32 - width) !== 0;
        store<u16>(p2 - 2, x2);
        p2 -= (<usize>high) << 1;
        x2 = select<u32>(x2 >>> 16, x2, high);
        x2 = ((x2 >>> (12 - width)) << 12) | (raw << (12 - width)) | (x2 & ((1 << (12 - width)) - 1));
      }
    } else if (signed) {
      const some = m2 !== 0;
      const high = some & (<i32>x2 < 0);
      store<u16>(p2 - 2, x2);
      p2 -= (<usize>high) << 1;
      x2 = select<u32>(x2 >>> 16, x2, high);
      x2 = select<u32>(((x2 >>> 11) << 12) | ((<u32>(v2 < 0)) << 11) | (x2 & 2047), x2, some);
    }
    if (m3 >= 15) {
      const bits = 31 - clz(m3 - 14);
      const width = bits + signed;
      t3 = 15 + bits;
      if (width > 0) {
        const raw = ((m3 - 14 - (1 << bits)) << signed) | (signed & <u32>(v3 < 0));
        const high = x3 >>> (32 - width) !== 0;
        store<u16>(p3 - 2, x3);
        p3 -= (<usize>high) << 1;
        x3 = select<u32>(x3 >>> 16, x3, high);
        x3 = ((x3 >>> (12 - width)) << 12) | (raw << (12 - width)) | (x3 & ((1 << (12 - width)) - 1));
      }
    } else if (signed) {
      const some = m3 !== 0;
      const high = some & (<i32>x3 < 0);
      store<u16>(p3 - 2, x3);
      p3 -= (<usize>high) << 1;
      x3 = select<u32>(x3 >>> 16, x3, high);
      x3 = select<u32>(((x3 >>> 11) << 12) | ((<u32>(v3 < 0)) << 11) | (x3 & 2047), x3, some);
    }
    const e0 = steps + (((<usize>load<u8>(n0 - 1)) << 9) | (t0 << 4));
    const e1 = steps + (((<usize>load<u8>(n1 - 1)) << 9) | (t1 << 4));
    const e2 = steps + (((<usize>load<u8>(n2 - 1)) << 9) | (t2 << 4));
    const e3 = steps + (((<usize>load<u8>(n3 - 1)) << 9) | (t3 << 4));
    const over0 = x0 > load<u32>(e0, 12);
    store<u16>(p0 - 2, x0);
    p0 -= (<usize>over0) << 1;
    x0 = select<u32>(x0 >>> 16, x0, over0);
    const step0 = load<u32>(e0, 8);
    x0 = x0 + <u32>((<u64>x0 * load<u64>(e0)) >>> 44) * (step0 >>> 16) + (step0 & 0xffff);
    const over1 = x1 > load<u32>(e1, 12);
    store<u16>(p1 - 2, x1);
    p1 -= (<usize>over1) << 1;
    x1 = select<u32>(x1 >>> 16, x1, over1);
    const step1 = load<u32>(e1, 8);
    x1 = x1 + <u32>((<u64>x1 * load<u64>(e1)) >>> 44) * (step1 >>> 16) + (step1 & 0xffff);
    const over2 = x2 > load<u32>(e2, 12);
    store<u16>(p2 - 2, x2);
    p2 -= (<usize>over2) << 1;
    x2 = select<u32>(x2 >>> 16, x2, over2);
    const step2 = load<u32>(e2, 8);
    x2 = x2 + <u32>((<u64>x2 * load<u64>(e2)) >>> 44) * (step2 >>> 16) + (step2 & 0xffff);
    const over3 = x3 > load<u32>(e3, 12);
    store<u16>(p3 - 2, x3);
    p3 -= (<usize>over3) << 1;
    x3 = select<u32>(x3 >>> 16, x3, over3);
    const step3 = load<u32>(e3, 8);
    x3 = x3 + <u32>((<u64>x3 * load<u64>(e3)) >>> 44) * (step3 >>> 16) + (step3 & 0xffff);
    q0 -= 2;
    n0 -= 1;
    q1 -= 2;
    n1 -= 1;
    q2 -= 2;
    n2 -= 1;
    q3 -= 2;
    n3 -= 1;
  }
  store<u32>(lane, x0, 0);
  store<u32>(lane, <u32>p0, 4);
  store<u32>(lane, x1, 16);
  store<u32>(lane, <u32>p1, 20);
  store<u32>(lane, x2, 32);
  store<u32>(lane, <u32>p2, 36);
  store<u32>(lane, x3, 48);
  store<u32>(lane, <u32>p3, 52);
}
