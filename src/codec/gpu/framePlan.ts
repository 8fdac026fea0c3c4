// FramePlan: where everything of one frame lies on the GPU, worked out from shapes and parameters alone, so that it
// can be kept while shapes repeat. Pure arithmetic; it touches no GPU object.
import { IsthmusError } from '../../errors.ts';
import { bytesPerElement, type DType, elementCount } from '../../tensor.ts';
import { type CodecParams, planSlicer, type SlicerPlan, survivorLimit } from '../params.ts';
import type { PhaseName, STORAGE_BINDINGS } from './passes.ts';

/** Bytes of `Selection` and `Chosen` in slicerState.wgsl; WebGPU itself refuses a binding that is too small. */
const SELECTION_BYTES = 156_812;
const CHOSEN_BYTES = 24;
const COUNT_ROW_BYTES = 48 * 4;
/** Words before the payload: HEADER_WORDS in slicerState.wgsl. */
export const HEADER_WORDS = 40;
export const UNIFORM_WORDS = 12;
/** Offset alignment of bindings: the default limit, which every device meets. */
export const ALIGNMENT = 256;
const MAX_ELEMENTS = 2 ** 24;

/** A byte range of the arena. */
interface Range {
  offset: number;
  size: number;
}

type StorageName = (typeof STORAGE_BINDINGS)[number];

/** One selection: its uniform (without the feature's offset) and its storage. */
export interface Phase {
  name: PhaseName;
  uniform: Uint32Array;
  ranges: Record<StorageName, Range>;
}

export interface TensorPlan {
  dtype: DType;
  shape: readonly number[];
  count: number;
  byteLength: number;
  /** slicer: by the passes; copy: as it is; none: no element, nothing to read. */
  kind: 'slicer' | 'copy' | 'none';
  family: 'slicer' | 'raw';
  tiles: number;
  /** Upper bound of survivors. */
  limit: number;
  /** One selection, or two when signs compete differently; the last one packs. */
  phases: Phase[];
  /** Where its bytes lie in the readback buffer. */
  readback: Range;
}

export interface FramePlan {
  tensors: TensorPlan[];
  strict: boolean;
  /** The arena holds outputs from byte 0 (copied to the start of the readback buffer), then the zeroed part, then the rest. */
  outputBytes: number;
  zeroed: Range;
  arenaBytes: number;
  readbackBytes: number;
}

/** What the device allows. */
interface DeviceLimits {
  maxBufferSize: number;
  maxStorageBufferBindingSize: number;
}

const align = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
const words = (bits: number) => Math.ceil(bits / 32);

/** Payload bytes that `count` elements with at most `limit` survivors cannot exceed, header included. */
export function outputBound(count: number, limit: number, blocks: number): number {
  const idBits = Math.log2(blocks);
  const codes = words(limit * 8) + blocks;
  return 4 * (HEADER_WORDS + words(count) + words(limit * idBits) + words(limit) + codes);
}

function uniform({ count, limit, tiles }: TensorPlan, plan: SlicerPlan, phase: PhaseName): Uint32Array {
  const ranks = phase === 'survive' ? 1 : plan.blocks;
  const integerMode = plan.mode === 'integer' ? 1 : 0;
  const indexBits = Math.max(1, Math.ceil(Math.log2(count)));
  const first = 0; // set per frame: the feature's buffer may change
  return Uint32Array.of(
    count,
    first,
    limit,
    plan.blocks,
    ranks,
    plan.asymmetryQ8,
    integerMode,
    plan.budgetQ16,
    indexBits,
    Math.log2(plan.blocks),
    tiles,
  );
}

/**
 * Lays out a frame for passes that take `tile` elements at a time.
 *
 * @throws IsthmusError TOO_LARGE when the device could not hold it, CODEC_INVALID, INPUT_INVALID
 */
export function planFrame(
  features: readonly { shape: readonly number[]; dtype: DType }[],
  params: CodecParams,
  limits: DeviceLimits,
  tile: number,
): FramePlan {
  const slicer = params.family === 'slicer' ? planSlicer(params) : undefined;
  const take = (cursor: { at: number }, size: number): Range => {
    const range = { offset: cursor.at, size };
    cursor.at = align(cursor.at + size);
    return range;
  };
  const arena = { at: 0 };
  const tensors = features.map(({ shape, dtype }): TensorPlan => {
    const count = elementCount(shape);
    const byteLength = count * bytesPerElement(dtype);
    const isSlicer = slicer !== undefined && dtype === 'float32';
    if (isSlicer && count > MAX_ELEMENTS) throw tooLarge(`A feature of ${count} elements is above 2^24`);
    if (byteLength > limits.maxStorageBufferBindingSize)
      throw tooLarge(`A feature of ${byteLength} bytes is more than this GPU can bind`);
    const limit = isSlicer ? survivorLimit(count, slicer.keepQ16) : 0;
    const family = isSlicer ? 'slicer' : 'raw';
    const kind = count === 0 ? 'none' : isSlicer ? 'slicer' : 'copy';
    const tiles = Math.ceil(count / tile);
    const readback =
      kind === 'slicer' ? take(arena, outputBound(count, limit, slicer!.blocks)) : { offset: 0, size: 0 };
    return { dtype, shape, count, byteLength, kind, family, tiles, limit, phases: [], readback };
  });
  const outputBytes = arena.at;

  const phaseNames: PhaseName[] = slicer?.asymmetryQ8 === 256 ? ['only'] : ['survive', 'split'];
  // Selection states first: they are zeroed in one go.
  const states = tensors.map((t) => {
    if (t.kind !== 'slicer') return [];
    const chosen = take(arena, CHOSEN_BYTES);
    return phaseNames.map((name) => ({ name, chosen, selection: take(arena, SELECTION_BYTES) }));
  });
  const zeroed = { offset: outputBytes, size: arena.at - outputBytes };
  tensors.forEach((t, i) => {
    if (t.kind !== 'slicer') return;
    const shared = {
      counts: take(arena, t.tiles * COUNT_ROW_BYTES),
      tags: take(arena, Math.max(4, t.limit * 4)),
      grouped: take(arena, Math.max(4, t.limit * 4)),
      output: t.readback,
    };
    t.phases = states[i]!.map(({ name, chosen, selection }) => ({
      name,
      uniform: uniform(t, slicer!, name),
      ranges: { ...shared, chosen, selection },
    }));
  });

  const readback = { at: outputBytes };
  for (const t of tensors)
    if (t.kind === 'copy') t.readback = take(readback, Math.ceil(t.byteLength / 4) * 4);
  if (Math.max(arena.at, readback.at) > limits.maxBufferSize)
    throw tooLarge(
      `A frame that needs ${Math.max(arena.at, readback.at)} bytes is more than this GPU can hold`,
    );
  return {
    tensors,
    strict: slicer?.strict ?? false,
    outputBytes,
    zeroed,
    arenaBytes: arena.at,
    readbackBytes: readback.at,
  };
}

function tooLarge(what: string): IsthmusError {
  return new IsthmusError('TOO_LARGE', `${what}. Cut the model where the feature is smaller.`);
}
