// The start of every WebAssembly encoder: brings the elements into its memory, sanitised, and looks at what they span.
import { TENSOR_FLAGS } from '../params.ts';
import { sanitise } from '../reference/float.ts';
import type { Arena } from './arena.ts';

const INFINITY = 0x7f800000;
/** Bytes behind the elements that kernels may read: a vector of four times four elements. */
export const ELEMENT_SLACK = 64;

export interface Extent {
  /** Largest magnitude pattern among elements without and with a sign bit. */
  positive: number;
  negative: number;
  /** Elements that are not 0. */
  nonzero: number;
  /** SANITISED or none. */
  flags: number;
}

/**
 * @param to a piece for the elements and ELEMENT_SLACK bytes; zeros follow the elements
 * @returns `undefined` when all elements are equal, or one is not finite under `strict`
 */
export function loadElements(
  arena: Arena,
  data: Float32Array,
  strict: boolean,
  to: number,
): Extent | undefined {
  const piece = arena.take(16);
  arena.grow();
  arena.words(to, data.length).set(new Uint32Array(data.buffer, data.byteOffset, data.length));
  let found = measure(arena, to, data.length, piece);
  if (Math.max(found.positive, found.negative) >= INFINITY) {
    if (strict) return undefined;
    arena.words(to, data.length).set(sanitise(data, false).bits);
    found = { ...measure(arena, to, data.length, piece), flags: TENSOR_FLAGS.SANITISED };
  }
  arena.bytes(to + 4 * data.length, ELEMENT_SLACK).fill(0);
  return found.differing ? found : undefined;
}

/**
 * The same without sanitising and for elements that may be equal, as profiles want it.
 * @returns `undefined` when an element is not finite under `strict`
 */
export function loadPatterns(
  arena: Arena,
  data: Float32Array,
  strict: boolean,
  to: number,
): Extent | undefined {
  const piece = arena.take(16);
  arena.grow();
  arena.words(to, data.length).set(new Uint32Array(data.buffer, data.byteOffset, data.length));
  const found = measure(arena, to, data.length, piece);
  arena.bytes(to + 4 * data.length, ELEMENT_SLACK).fill(0);
  if (Math.max(found.positive, found.negative) < INFINITY) return found;
  return strict ? undefined : { ...found, flags: TENSOR_FLAGS.SANITISED };
}

function measure(arena: Arena, at: number, count: number, piece: number): Extent & { differing: boolean } {
  arena.kernels.extent(at, count, piece);
  const [positive, negative, differing, nonzero] = arena.words(piece, 4) as unknown as [
    number,
    number,
    number,
    number,
  ];
  return { positive, negative, nonzero, differing: differing === 1, flags: 0 };
}
