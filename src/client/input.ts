// Turns whatever a caller hands to session.run into what a runtime accepts. It touches no DOM global that may be
// missing (SSR, Node) and decodes nothing itself: encoded pictures go to the runtime as bytes.
import { IsthmusError } from '../errors.ts';
import type { Pixels, RuntimeInput } from '../head/runtime.ts';
import { MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS } from '../image/limits.ts';
import { elementCount, type Tensors } from '../tensor.ts';
import type { Input } from './types.ts';

const ACCEPTED =
  'Give a Blob or File, an encoded picture as Uint8Array, an ImageBitmap, ImageData, canvas, image element, video, ' +
  'VideoFrame, { width, height, data } with RGBA bytes, or named tensors { name: { dtype, shape, data } }.';

/** Elements and frames that createImageBitmap understands, with how to read their size. */
const DRAWABLE: Record<string, (x: Record<string, number>) => [number | undefined, number | undefined]> = {
  HTMLCanvasElement: (x) => [x.width, x.height],
  OffscreenCanvas: (x) => [x.width, x.height],
  HTMLImageElement: (x) => [x.naturalWidth, x.naturalHeight],
  HTMLVideoElement: (x) => [x.videoWidth, x.videoHeight],
  VideoFrame: (x) => [x.displayWidth, x.displayHeight],
};

/** An input ready for a runtime; `release` frees what was made on the way and leaves the caller's objects alone. */
export interface PreparedInput {
  input: RuntimeInput;
  /** Bytes of the file, where the input was an encoded picture. */
  fileBytes?: number;
  release(): void;
}

/**
 * Whether the input fits the model is the runtime's to say: it checks shapes and preprocessing where it uses them.
 *
 * @throws INPUT_INVALID naming what is accepted; IMAGE_TOO_LARGE above 40 MiB or 64 Mpixel; IMAGE_INVALID when the
 * browser cannot take a bitmap of an element.
 */
export async function prepareInput(input: Input): Promise<PreparedInput> {
  const keep = (input: RuntimeInput, fileBytes?: number): PreparedInput => ({
    input,
    ...(fileBytes !== undefined && { fileBytes }),
    release() {},
  });
  if (typeof input !== 'object' || input === null) throw refuse(`${input === null ? 'null' : typeof input}`);
  // The tag works across realms (frames, workers, jsdom) and without the classes being there.
  const tag = Object.prototype.toString.call(input).slice(8, -1);
  if (tag === 'Uint8Array') {
    const bytes = input as Uint8Array;
    checkFile(bytes.byteLength);
    return keep({ kind: 'file', bytes }, bytes.byteLength);
  }
  if (tag === 'Blob' || tag === 'File') {
    const blob = input as Blob;
    checkFile(blob.size);
    const bytes = new Uint8Array(await readBlob(blob));
    return keep({ kind: 'file', bytes }, bytes.byteLength);
  }
  if (tag === 'ImageBitmap') {
    const bitmap = input as ImageBitmap;
    checkPixels(bitmap.width, bitmap.height);
    return keep({ kind: 'bitmap', bitmap });
  }
  if (tag in DRAWABLE) return draw(input as ImageBitmapSource, tag);
  if (tag === 'ImageData' || isPixels(input))
    return keep({ kind: 'pixels', pixels: checkRgba(input as Pixels) });
  if (tag === 'Object' && isTensors(input))
    return keep({ kind: 'tensors', tensors: plainTensors(input as Tensors) });
  throw refuse(
    tag === 'Object' ? `an object with the keys ${Object.keys(input).join(', ') || '(none)'}` : `a ${tag}`,
  );
}

async function draw(source: ImageBitmapSource, tag: string): Promise<PreparedInput> {
  const [width = 0, height = 0] = DRAWABLE[tag]!(source as unknown as Record<string, number>);
  if (width === 0 || height === 0) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `The ${tag} has no pixels yet. Wait until it is decoded (\`await img.decode()\`, a video's 'loadeddata').`,
    );
  }
  checkPixels(width, height);
  try {
    const bitmap = await createImageBitmap(source);
    return { input: { kind: 'bitmap', bitmap }, release: () => bitmap.close() };
  } catch (thrown) {
    throw IsthmusError.from(
      thrown,
      'IMAGE_INVALID',
      `The browser cannot take a picture of this ${tag}; if it comes from another origin, load it with CORS.`,
    );
  }
}

/** A file that was moved or changed after it was picked fails only when it is read. */
async function readBlob(blob: Blob): Promise<ArrayBuffer> {
  try {
    return await blob.arrayBuffer();
  } catch (thrown) {
    throw IsthmusError.from(thrown, 'IMAGE_INVALID', 'The picture can no longer be read; pick it again.');
  }
}

function checkFile(bytes: number): void {
  if (bytes === 0)
    throw new IsthmusError('IMAGE_INVALID', 'The picture is empty (0 bytes); pick another one.');
  if (bytes > MAX_PICTURE_BYTES) {
    throw new IsthmusError(
      'IMAGE_TOO_LARGE',
      `The picture has ${(bytes / 1048576).toFixed(1)} MiB, the limit is 40 MiB. Save it smaller.`,
    );
  }
}

function checkPixels(width: number, height: number): void {
  if (width * height > MAX_PICTURE_PIXELS) {
    throw new IsthmusError(
      'IMAGE_TOO_LARGE',
      `The picture has ${width}×${height} pixels, the limit is 64 megapixels. Scale it down.`,
    );
  }
}

function isPixels(input: object): boolean {
  const p = input as Partial<Pixels>;
  return typeof p.width === 'number' && typeof p.height === 'number' && p.data !== undefined;
}

function checkRgba(p: Pixels): Pixels {
  const { width, height, data } = p;
  const whole = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
  const bytes = data instanceof Uint8ClampedArray || data instanceof Uint8Array;
  if (whole) checkPixels(width, height);
  if (!whole || !bytes || data.length !== 4 * width * height) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `Pixels need width and height of at least 1 and 4·width·height RGBA bytes as Uint8Array or Uint8ClampedArray; ` +
        `got ${width}×${height} with ${bytes ? `${data.length} bytes` : 'other data'}.`,
    );
  }
  return { width, height, data }; // plain, so that it crosses to a worker
}

function isTensor(x: unknown): boolean {
  const { dtype, shape, data } = (x ?? {}) as Record<string, unknown>;
  return typeof dtype === 'string' && Array.isArray(shape) && ArrayBuffer.isView(data);
}

function isTensors(input: object): boolean {
  const values = Object.values(input);
  return values.length > 0 && values.every(isTensor);
}

/** Plain, so that they cross to a worker; data that were transferred away could not. */
function plainTensors(tensors: Tensors): Tensors {
  const plain: Tensors = {};
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    const wanted = elementCount(shape);
    if (data.length !== wanted) {
      throw new IsthmusError(
        'INPUT_INVALID',
        `'${name}' has ${data.length} elements where its shape [${shape}] has ${wanted}. Pass data that fill the shape and ` +
          'were not transferred away.',
      );
    }
    plain[name] = { dtype, shape, data };
  }
  return plain;
}

const refuse = (what: string) =>
  new IsthmusError('INPUT_INVALID', `${what} cannot be used as input. ${ACCEPTED}`);
