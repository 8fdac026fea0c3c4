// CRC-32 of IEEE 802.3, one bit at a time, over several pieces as if they were one.

/** The checksum of the pieces' bytes in order. */
export function crc32(...pieces: Uint8Array[]): number {
  let register = 0xffffffff;
  for (const piece of pieces) {
    for (const byte of piece) {
      register ^= byte;
      for (let bit = 0; bit < 8; bit++)
        register = register & 1 ? (register >>> 1) ^ 0xedb88320 : register >>> 1;
    }
  }
  return ~register >>> 0;
}
