// Encodes part of one lane of family `isthmus`, backwards; isthmusFourSpans.ts does the same for four lanes at a time.
import { NUMBERS, QUANTISED, SIGNED, STEPS } from './isthmusTask';

/** The `count` coefficients before number `end`, the last one first. @param lane its record, see stream.ts */
export function encodeSpan(task: usize, lane: usize, end: u32, count: u32): void {
  const steps = <usize>load<u32>(task, STEPS);
  const signed = load<u32>(task, SIGNED);
  const quantised = <usize>load<u32>(task, QUANTISED);
  const numbers = <usize>load<u32>(task, NUMBERS);
  let x = load<u32>(lane, 0);
  let p = <usize>load<u32>(lane, 4);
  let q = quantised + (end << 1);
  let n = numbers + end;
  for (; count > 0; --count) {
    const v = <i32>load<i16>(q - 2);
    const m = <u32>abs(v);
    let t = m;
    if (m >= 15) {
      const bits = 31 - clz(m - 14);
      const width = bits + signed;
      t = 15 + bits;
      if (width > 0) {
        const raw = ((m - 14 - (1 << bits)) << signed) | (signed & <u32>(v < 0));
        const high = x >>> (32 - width) !== 0;
        store<u16>(p - 2, x);
        p -= (<usize>high) << 1;
        x = select<u32>(x >>> 16, x, high);
        x = ((x >>> (12 - width)) << 12) | (raw << (12 - width)) | (x & ((1 << (12 - width)) - 1));
      }
    } else if (signed) {
      const some = m !== 0;
      const high = some & (<i32>x < 0);
      store<u16>(p - 2, x);
      p -= (<usize>high) << 1;
      x = select<u32>(x >>> 16, x, high);
      x = select<u32>(((x >>> 11) << 12) | ((<u32>(v < 0)) << 11) | (x & 2047), x, some);
    }
    const e = steps + (((<usize>load<u8>(n - 1)) << 9) | (t << 4));
    const over = x > load<u32>(e, 12);
    store<u16>(p - 2, x);
    p -= (<usize>over) << 1;
    x = select<u32>(x >>> 16, x, over);
    const step = load<u32>(e, 8);
    x = x + <u32>((<u64>x * load<u64>(e)) >>> 44) * (step >>> 16) + (step & 0xffff);
    q -= 2;
    n -= 1;
  }
  store<u32>(lane, x, 0);
  store<u32>(lane, <u32>p, 4);
}
