// ATKF for signs that do not compete alike (FORMAT.md, "Key"): the keys, and then zero in place of what does not survive.
// With equal weights the keys are the magnitudes, and neither function runs.

/** Keys of finite patterns; `asymmetry` is λ₈, below 256. */
export function slicerKeys(data: usize, count: u32, asymmetry: u32, keys: usize): void {
  for (const end = data + (count << 2); data < end; data += 4, keys += 4) {
    const x = load<u32>(data);
    store<u32>(keys, x >>> 31 ? weakened(x & 0x7fffffff, asymmetry) : x);
  }
}

function weakened(magnitude: u32, asymmetry: u32): u32 {
  const normal = magnitude >>> 23 > 0;
  const product = (normal ? (magnitude & 0x7fffff) | 0x800000 : magnitude) * asymmetry;
  if (product === 0) return 0;
  const top = 31 - <i32>clz(product);
  const exponent = (normal ? <i32>(magnitude >>> 23) : 1) + top - 31;
  const mantissa = top >= 23 ? product >>> (top - 23) : product << (23 - top);
  if (exponent >= 1) return (exponent << 23) | (mantissa & 0x7fffff);
  return exponent < -22 ? 0 : mantissa >>> (1 - exponent);
}

/** Elements from…to - 1 whose key is below `least` become 0. */
export function slicerDrop(data: usize, keys: usize, from: u32, to: u32, least: u32): void {
  for (let at = from << 2, end = to << 2; at < end; at += 4) {
    store<u32>(data + at, select<u32>(load<u32>(data + at), 0, load<u32>(keys + at) >= least));
  }
}
