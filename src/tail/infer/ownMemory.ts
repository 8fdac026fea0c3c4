// Bodies move to threads, so each needs memory of its own. Bytes from a socket often lie in one buffer with those of other
// messages; this tells them apart and copies where it must.
import { isMarkedAsUntransferable } from 'node:worker_threads';

/** Largest header of ours in front of a body: a message's. */
const HEADER_BYTES = 16;

/**
 * @returns the same bytes where nothing else that is still needed can lie in their buffer: they reach from its beginning,
 *   but for a header, to its end. Else a copy.
 */
export function ownMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = bytes;
  const alone =
    buffer instanceof ArrayBuffer &&
    byteOffset <= HEADER_BYTES &&
    byteOffset + byteLength === buffer.byteLength &&
    !isMarkedAsUntransferable(buffer);
  return alone ? new Uint8Array(buffer, byteOffset, byteLength) : new Uint8Array(bytes);
}
