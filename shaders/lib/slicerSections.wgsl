// Where the sections of a SLICER payload lie that depend on nothing but S, T and M.

/** Positions mode of FORMAT.md: 0 bitmap, 1 indices, 2 nothing because everything survives. */
fn positionsMode(survivors: u32) -> u32 {
  if (survivors == params.count) {
    return 2u;
  }
  return select(0u, 1u, wordsOf(survivors * params.indexBits) < wordsOf(params.count));
}

/** Words of the positions section; S ≤ 2^24 indices of at most 24 bits stay below 2^32 bits. */
fn positionWords(mode: u32, survivors: u32) -> u32 {
  return select(0u, wordsOf(select(params.count, survivors * params.indexBits, mode == 1u)), mode != 2u);
}

fn wordsOf(bits: u32) -> u32 {
  return (bits + 31u) >> 5u;
}
