// Binary search among at most 16 falling values in workgroup memory: which slot, class or region a key belongs to.
// Four comparisons whatever the number of blocks; the list is padded with zeros.

/** Distinct prefixes or thresholds, largest first, then zeros. */
var<workgroup> wg_prefix: array<u32, 16>;

/** Number of entries larger than `key`, at most 15; `key` must not lie below all of 16 entries. */
fn entriesAbove(key: u32) -> u32 {
  var at = select(0u, 8u, wg_prefix[7] > key);
  at += select(0u, 4u, wg_prefix[at + 3u] > key);
  at += select(0u, 2u, wg_prefix[at + 1u] > key);
  at += select(0u, 1u, wg_prefix[at] > key);
  return at;
}
