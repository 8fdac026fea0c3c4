// Streams of the entropy coder with one table and interleaved lanes, by WebAssembly kernels: what family `rans` codes its
// symbols with. What the symbols stand for is not known here.
import { indexStream } from '../reference/rans.ts';
import { type Arena, withArena } from './arena.ts';

/** What the decoder may read behind the stream, two bytes a symbol, before it looks for lanes that ran over. */
const OVERRUN = 2 * 4096 + 16;

/**
 * @param symbols in the order of the stream; each with a frequency in `table`
 * @param table frequencies that sum to 4096
 * @returns the stream; `undefined` where there are no kernels
 */
export function encodeSymbols(
  symbols: Uint8Array,
  table: Uint16Array,
  lanes: number,
): Uint8Array | undefined {
  return withArena((arena) => {
    const at = arena.take(symbols.length);
    arena.grow();
    arena.bytes(at, symbols.length).set(symbols);
    return encodeStream(arena, at, symbols.length, table, lanes);
  });
}

/**
 * @returns `count` symbols; `undefined` where there are no kernels, or for a stream that no encoder makes
 * @throws IsthmusError FRAME_INVALID for one whose lanes do not fit its length
 */
export function decodeSymbols(
  payload: Uint8Array,
  table: Uint16Array,
  lanes: number,
  count: number,
): Uint8Array | undefined {
  return withArena((arena) => {
    const at = arena.take(count + 16);
    if (!decodeStream(arena, payload, lanes, table, at, count)) return undefined;
    return new Uint8Array(arena.copy(at, count));
  });
}

/** Codes `count` bytes of the arena in interleaved lanes, and grows it. */
export function encodeStream(
  arena: Arena,
  symbols: number,
  count: number,
  table: Uint16Array,
  lanes: number,
): Uint8Array {
  const { kernels } = arena;
  const freqs = arena.take(2 * table.length);
  const steps = arena.take(16 * table.length);
  const lane = arena.take(16 * lanes);
  const words = arena.take(2 * Math.ceil(count / lanes) * lanes);
  const stream = arena.take(8 * lanes + 2 * count);
  arena.grow();
  arena.halfwords(freqs, table.length).set(table);
  kernels.ransEncodeTable(freqs, table.length, steps);
  const bytes = kernels.ransEncode(steps, symbols, count, lanes, lane, words, stream);
  return new Uint8Array(arena.copy(stream, bytes));
}

/**
 * Decodes the interleaved lanes of one table into bytes of the arena, and grows it.
 *
 * @param symbols a piece of `count` bytes
 * @returns whether the stream is one that an encoder makes
 * @throws IsthmusError FRAME_INVALID for one whose lanes do not fit its length
 */
export function decodeStream(
  arena: Arena,
  payload: Uint8Array,
  lanes: number,
  table: Uint16Array,
  symbols: number,
  count: number,
): boolean {
  const { states, firstByte, starts } = indexStream(payload, lanes);
  const { kernels } = arena;
  const freqs = arena.take(2 * table.length);
  const slots = arena.take(4 * 4096 + 16);
  const lane = arena.take(16 * lanes);
  const stream = arena.take(payload.length + OVERRUN);
  arena.grow();
  arena.halfwords(freqs, table.length).set(table);
  kernels.ransDecodeTable(freqs, table.length, slots);
  arena.bytes(stream, payload.length).set(payload);
  const records = arena.words(lane, 4 * lanes);
  for (let l = 0; l < lanes; l++) {
    records[4 * l] = states[l]!;
    records[4 * l + 1] = stream + firstByte + 2 * starts[l]!;
    records[4 * l + 2] = stream + firstByte + 2 * starts[l + 1]!;
  }
  return kernels.ransDecode(slots, lane, lanes, symbols, count) === 1;
}
