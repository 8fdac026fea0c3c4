// Token frames: 8 bytes and a body, read by what an ordinary frame fixed when it opened the context.
import { Bytes } from './bytes.ts';
import { crc32 } from './crc32.ts';
import { ELEMENT_SIZE } from './elements.ts';
import type { Frame } from './frame.ts';
import { demand, Refused } from './refuse.ts';
import { elementCount, type TensorRecord } from './tensorRecord.ts';

const NOTHING = new Uint8Array(0);

/** A token context: what its opening frame fixed, and the number of the token it waits for. */
export interface TokenContext {
  readonly id: number;
  readonly checksum: number;
  readonly tensors: readonly TensorRecord[];
  next: number;
}

/** The context that a frame opens, if any. */
export function openContext(frame: Frame): TokenContext | undefined {
  const token = frame.meta.token as { context?: unknown } | null | undefined;
  if (token === undefined) return undefined;
  const id = token?.context;
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > 7) throw new Refused('token context');
  return { id, checksum: frame.checksum, tensors: frame.tensors, next: 1 };
}

/** The tensors of one token frame; the context then waits for the next number. */
export function readToken(bytes: Uint8Array, context: TokenContext): TensorRecord[] {
  const frame = new Bytes(bytes);
  const tag = frame.uint(1, 'token');
  const sequence = frame.uint(1, 'token');
  const B = frame.uint(2, 'token');
  const checksum = frame.uint(4, 'token');
  demand(tag >> 5 === 7 && ((tag >> 2) & 7) === context.id, 'a tag of another context');
  const ones = [...tag.toString(2)].filter((digit) => digit === '1').length;
  demand(ones % 2 === 0, 'a tag of odd parity');
  demand(bytes.length === 8 + B, 'another length than 8 + B');
  demand(sequence === context.next % 256, 'another token than the one waited for');
  const bound = new Uint8Array(8);
  new DataView(bound.buffer).setUint32(0, context.checksum, true);
  new DataView(bound.buffer).setUint32(4, context.next, true);
  const body = frame.take(B, 'body');
  demand(crc32(bound, bytes.subarray(0, 4), body) === checksum, 'damaged');
  const tensors = readBody(new Bytes(body), (tag & 2) !== 0, context.tensors);
  context.next++;
  return tensors;
}

function readBody(body: Bytes, same: boolean, opening: readonly TensorRecord[]): TensorRecord[] {
  const rawSize = (t: TensorRecord): number => elementCount(t.shape) * ELEMENT_SIZE[t.type];
  const lastCoded = opening.findLastIndex((t) => t.family !== 'raw');
  demand(same || lastCoded >= 0, 'SAME cleared where all tensors are raw');
  const behind = opening.slice(lastCoded + 1).reduce((sum, t) => sum + rawSize(t), 0);
  const tensors = opening.map((t, i): TensorRecord => {
    if (t.family === 'raw') return { ...t, payload: body.take(rawSize(t), 'raw tensor') };
    let { flags, params } = t;
    if (!same) {
      const head = body.uint(2, 'flags and params');
      flags = head % 8;
      params = body.take(Math.floor(head / 8), 'params');
    }
    const size = i === lastCoded ? body.left - behind : body.leb128(3, 'payload length');
    demand(size >= 0, 'body is too short');
    return { ...t, flags, params, payload: size === 0 ? NOTHING : body.take(size, 'payload') };
  });
  demand(body.left === 0, 'body is not filled exactly');
  return tensors;
}
