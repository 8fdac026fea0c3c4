// Whole numbers of 64 bits as two words, for sums and comparisons that 32 bits cannot hold.

struct Wide {
  hi: u32,
  lo: u32,
}

fn wideProduct(a: u32, b: u32) -> Wide {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let left = (a >> 16u) * (b & 0xffffu);
  let right = (a & 0xffffu) * (b >> 16u);
  let middle = (low >> 16u) + (left & 0xffffu) + (right & 0xffffu);
  return Wide(
    (a >> 16u) * (b >> 16u) + (left >> 16u) + (right >> 16u) + (middle >> 16u),
    (middle << 16u) | (low & 0xffffu),
  );
}

fn wideSum(a: Wide, b: Wide) -> Wide {
  let lo = a.lo + b.lo;
  return Wide(a.hi + b.hi + select(0u, 1u, lo < a.lo), lo);
}

/** a - b for a ≥ b. */
fn wideDifference(a: Wide, b: Wide) -> Wide {
  return Wide(a.hi - b.hi - select(0u, 1u, a.lo < b.lo), a.lo - b.lo);
}

fn wideLess(a: Wide, b: Wide) -> bool {
  return a.hi < b.hi || (a.hi == b.hi && a.lo < b.lo);
}
