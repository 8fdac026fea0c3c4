// The first pass of every encoder: what the elements span, and whether they are finite and differ at all.

/**
 * @param data float patterns; 12 bytes behind them are overwritten
 * @param result room for four u32: the largest magnitude pattern without and with a sign bit; 0 when all elements have the
 *   same bits once -0 is +0; how many are not 0
 */
export function extent(data: usize, count: u32, result: usize): void {
  const zero = i32x4.splat(0);
  const sign = i32x4.splat(0x80000000);
  const end = data + (count << 2);
  const last = load<u32>(end - 4);
  for (let i: usize = 0; i < 12; i += 4) store<u32>(end + i, last);
  const first = withoutMinusZero(v128.load32_splat(data), sign);
  let positive = zero;
  let negative = zero;
  let differing = zero;
  let zeros = zero;
  for (let at = data; at < end; at += 16) {
    const x = v128.load(at);
    positive = i32x4.max_s(positive, x); // what has a sign is below 0
    negative = i32x4.max_s(negative, v128.andnot(v128.and(x, i32x4.shr_s(x, 31)), sign));
    zeros = i32x4.sub(zeros, i32x4.eq(i32x4.shl(x, 1), zero));
    differing = v128.or(differing, v128.xor(withoutMinusZero(x, sign), first));
  }
  store<u32>(result, largest(positive));
  store<u32>(result, largest(negative), 4);
  store<u32>(result, v128.any_true(differing) ? 1 : 0, 8);
  const repeated = last << 1 === 0 ? (4 - (count & 3)) & 3 : 0;
  store<u32>(result, count - (sum(zeros) - repeated), 12);
}

function withoutMinusZero(x: v128, sign: v128): v128 {
  return v128.andnot(x, i32x4.eq(x, sign));
}

function largest(v: v128): i32 {
  const a = max(i32x4.extract_lane(v, 0), i32x4.extract_lane(v, 1));
  return max(a, max(i32x4.extract_lane(v, 2), i32x4.extract_lane(v, 3)));
}

function sum(v: v128): u32 {
  return (
    i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3)
  );
}
