// Shuffles for moving some bytes of a vector together, or back apart, by the bits of a mask. Made once, when the module
// starts; the kernels index them.

/** 256 × 8 bytes: the positions of the ones of a mask, rising, then 0x80, which a swizzle turns into 0. */
export const COMPACT8: usize = memory.data(256 * 8, 16);
/** 256 × 8 bytes: at every one of a mask how many ones come before it, elsewhere 0x80. */
export const EXPAND8: usize = memory.data(256 * 8, 16);
/** 16 × 16 bytes: EXPAND for four elements of four bytes. */
export const EXPAND4X32: usize = memory.data(16 * 16, 16);

function fillBytes(): void {
  for (let mask: u32 = 0; mask < 256; mask++) {
    let ones: u32 = 0;
    store<u64>(COMPACT8 + mask * 8, <u64>0x80808080 * 0x100000001);
    for (let bit: u32 = 0; bit < 8; bit++) {
      const set = (mask >>> bit) & 1;
      store<u8>(EXPAND8 + mask * 8 + bit, set ? ones : 0x80);
      if (set) store<u8>(COMPACT8 + mask * 8 + ones++, bit);
    }
  }
}

function fillWords(): void {
  for (let mask: u32 = 0; mask < 16; mask++) {
    let ones: u32 = 0;
    for (let word: u32 = 0; word < 4; word++) {
      const set = (mask >>> word) & 1;
      const first = ones * 4;
      const bytes = first | ((first + 1) << 8) | ((first + 2) << 16) | ((first + 3) << 24);
      store<u32>(EXPAND4X32 + mask * 16 + word * 4, set ? bytes : 0x80808080);
      ones += set;
    }
  }
}

fillBytes();
fillWords();
