// Similarity of frames: thumbnails of 16 × 16 luma values and how far two of them are apart. It is cheap on purpose: it finds
// a camera that looks at nothing, not a copy of a picture.
import type { Input } from './types.ts';

const SIDE = 16;
/** Points of a cell that are read, each way; a whole camera frame would be millions. */
const POINTS = 4;

export interface Thumbnail {
  /** Of the frame: pictures of another size are cropped in other places. */
  width: number;
  height: number;
  /** 0…255, over white as the model sees them. */
  luma: Float32Array;
}

/** @returns undefined for what has no pixels at hand: encoded pictures, tensors, elements without a frame yet */
export type Thumbnailer = (input: Input) => Thumbnail | undefined;

export function thumbnailer(): Thumbnailer {
  let context: OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D | null | undefined;
  return (input) => {
    if (typeof input !== 'object' || input === null) return undefined; // the run says what it is
    const { width, height, data } = input as { width?: unknown; height?: unknown; data?: unknown };
    if (data instanceof Uint8ClampedArray || data instanceof Uint8Array) {
      const fits = typeof width === 'number' && typeof height === 'number';
      if (!fits || data.length !== 4 * width * height) return undefined;
      return { width, height, luma: lumaOf(data, width, height) };
    }
    if (!isDrawable(input)) return undefined;
    const size = sizeOf(input);
    if (!size.width) return undefined;
    context ??= makeContext();
    if (!context) return undefined;
    try {
      context.fillStyle = 'white';
      context.fillRect(0, 0, SIDE * POINTS, SIDE * POINTS);
      context.drawImage(input, 0, 0, SIDE * POINTS, SIDE * POINTS);
      const pixels = context.getImageData(0, 0, SIDE * POINTS, SIDE * POINTS);
      return { ...size, luma: lumaOf(pixels.data, pixels.width, pixels.height) };
    } catch {
      context = undefined; // once it held a picture of another origin it is never read again
      return undefined; // nothing to draw yet, or of another origin: the run itself says so
    }
  };
}

/** 1 for the same, 0 for black against white and for pictures of different sizes. */
export function similarity(a: Thumbnail, b: Thumbnail): number {
  if (a.width !== b.width || a.height !== b.height) return 0;
  let sum = 0;
  for (let i = 0; i < a.luma.length; i++) sum += Math.abs(a.luma[i]! - b.luma[i]!);
  return 1 - sum / a.luma.length / 255;
}

/** Mean luma (BT.601) of the cells of a 16 × 16 grid, from 4 × 4 points of each. */
function lumaOf(rgba: Uint8ClampedArray | Uint8Array, width: number, height: number): Float32Array {
  const cells = new Float32Array(SIDE * SIDE);
  const points = SIDE * POINTS;
  for (let v = 0; v < points; v++) {
    const y = Math.floor(((v + 0.5) * height) / points);
    for (let u = 0; u < points; u++) {
      const at = 4 * (y * width + Math.floor(((u + 0.5) * width) / points));
      const luma = 0.299 * rgba[at]! + 0.587 * rgba[at + 1]! + 0.114 * rgba[at + 2]!;
      const alpha = rgba[at + 3]! / 255;
      const seen = luma * alpha + 255 * (1 - alpha);
      cells[Math.floor(v / POINTS) * SIDE + Math.floor(u / POINTS)]! += seen / POINTS ** 2;
    }
  }
  return cells;
}

const DRAWABLE = [
  'ImageBitmap',
  'HTMLCanvasElement',
  'OffscreenCanvas',
  'HTMLImageElement',
  'HTMLVideoElement',
];

function isDrawable(input: Input): input is ImageBitmap {
  const tag = Object.prototype.toString.call(input).slice(8, -1);
  return tag === 'VideoFrame' || DRAWABLE.includes(tag);
}

/** Elements have a size of their own beside the one of what they show. */
function sizeOf(input: unknown): { width: number; height: number } {
  const x = input as Record<string, number | undefined>;
  const width = x.videoWidth ?? x.naturalWidth ?? x.displayWidth ?? x.width ?? 0;
  return { width, height: x.videoHeight ?? x.naturalHeight ?? x.displayHeight ?? x.height ?? 0 };
}

function makeContext(): OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D | null {
  const side = SIDE * POINTS;
  if (typeof OffscreenCanvas !== 'undefined')
    return new OffscreenCanvas(side, side).getContext('2d', { willReadFrequently: true });
  if (typeof document === 'undefined') return null;
  const canvas = Object.assign(document.createElement('canvas'), { width: side, height: side });
  return canvas.getContext('2d', { willReadFrequently: true });
}
