// Reads width and height from the first bytes of a picture file, before anything is decoded: a small file can claim
// billions of pixels. JPEG, PNG, WebP, GIF, BMP and AVIF/HEIC; everything else is unknown, not an error.

export interface ImageSize {
  width: number;
  height: number;
}

/** @returns undefined when the format is unknown or the header is damaged; the decoder has the last word then. */
export function sniffImageSize(bytes: Uint8Array): ImageSize | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return png(view) ?? jpeg(view) ?? webp(view) ?? gif(view) ?? bmp(view) ?? isoMedia(view);
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined; // a header that ends early
    throw thrown;
  }
}

const tag = (view: DataView, at: number) => view.getUint32(at);
const RIFF = 0x52494646;

function png(view: DataView): ImageSize | undefined {
  if (tag(view, 0) !== 0x89504e47) return undefined;
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** Walks the markers to the start of frame, SOF0…SOF15 without DHT (C4), JPG (C8) and DAC (CC). */
function jpeg(view: DataView): ImageSize | undefined {
  if (view.getUint16(0) !== 0xffd8) return undefined;
  for (let at = 2; ; ) {
    if (view.getUint8(at) !== 0xff) return undefined;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at++; // fill byte
    } else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    } else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2; // markers without a length
    } else {
      at += 2 + view.getUint16(at + 2);
    }
  }
}

function webp(view: DataView): ImageSize | undefined {
  if (tag(view, 0) !== RIFF || tag(view, 8) !== 0x57454250) return undefined;
  const u24 = (at: number) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  switch (tag(view, 12)) {
    case 0x56503858: // VP8X
      return { width: u24(24) + 1, height: u24(27) + 1 };
    case 0x5650384c: {
      const bits = view.getUint32(21, true); // VP8L: 14 bits each
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case 0x56503820: // VP8
      return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
    default:
      return undefined;
  }
}

function gif(view: DataView): ImageSize | undefined {
  if (tag(view, 0) !== 0x47494638) return undefined;
  return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
}

function bmp(view: DataView): ImageSize | undefined {
  if (view.getUint16(0) !== 0x424d || view.getUint32(14, true) < 40) return undefined;
  return { width: Math.abs(view.getInt32(18, true)), height: Math.abs(view.getInt32(22, true)) };
}

/** AVIF and HEIC: the largest 'ispe' property near the start; boxes are not walked. */
function isoMedia(view: DataView): ImageSize | undefined {
  if (tag(view, 4) !== 0x66747970) return undefined;
  let largest: ImageSize | undefined;
  for (let at = 8; at + 16 <= Math.min(view.byteLength, 65536); at++) {
    if (tag(view, at) !== 0x69737065) continue;
    const size = { width: view.getUint32(at + 8), height: view.getUint32(at + 12) };
    if (!largest || size.width * size.height > largest.width * largest.height) largest = size;
  }
  return largest;
}
