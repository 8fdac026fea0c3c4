// Datagrams: a message in pieces that may be lost or overtake each other (FORMAT.md, "Links"). Cuts and puts together;
// when to send, what to ask for again and what to forget is the business of both ends of the link.
import { IsthmusError } from '../errors.ts';

/** One piece of a message. */
export interface Fragment {
  /** Of the request. */
  id: number;
  index: number;
  count: number;
  /** Bytes of the whole message. */
  total: number;
  bytes: Uint8Array;
}

export const DATAGRAM_HEADER_BYTES = 12;
const MOST_FRAGMENTS = 0xffff;

/**
 * @param size largest datagram in bytes, header included
 * @returns datagrams in order; undefined when the message would need more than 65535
 */
export function cutMessage(
  id: number,
  message: Uint8Array,
  size: number,
): Uint8Array<ArrayBuffer>[] | undefined {
  const count = Math.ceil(message.byteLength / (size - DATAGRAM_HEADER_BYTES));
  if (count > MOST_FRAGMENTS) return undefined;
  const share = Math.ceil(message.byteLength / count);
  return Array.from({ length: count }, (_, index) => {
    const part = message.subarray(index * share, (index + 1) * share);
    const datagram = new Uint8Array(DATAGRAM_HEADER_BYTES + part.byteLength);
    const view = new DataView(datagram.buffer);
    view.setUint32(0, id, true);
    view.setUint16(4, index, true);
    view.setUint16(6, count, true);
    view.setUint32(8, message.byteLength, true);
    datagram.set(part, DATAGRAM_HEADER_BYTES);
    return datagram;
  });
}

/** @throws IsthmusError FRAME_INVALID; `bytes` of the result shares memory with the datagram */
export function readDatagram(datagram: Uint8Array): Fragment {
  if (datagram.byteLength <= DATAGRAM_HEADER_BYTES) throw invalid('it is too short');
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const [index, count, total] = [view.getUint16(4, true), view.getUint16(6, true), view.getUint32(8, true)];
  const bytes = datagram.subarray(DATAGRAM_HEADER_BYTES);
  if (index >= count || total < count)
    throw invalid(`piece ${index} of ${count} of ${total} bytes cannot be`);
  const share = Math.ceil(total / count);
  const length = Math.min(share, total - index * share);
  if (bytes.byteLength !== length) throw invalid(`it carries ${bytes.byteLength} bytes instead of ${length}`);
  return { id: view.getUint32(0, true), index, count, total, bytes };
}

/** A message being put together. Memory is taken as pieces come, never for what was only announced. */
export class Assembly {
  readonly count: number;
  readonly total: number;
  readonly #parts: (Uint8Array | undefined)[] = [];
  #here = 0;
  #bytes = 0;

  constructor({ count, total }: Pick<Fragment, 'count' | 'total'>) {
    this.count = count;
    this.total = total;
  }

  /** Bytes held so far. */
  get bytes(): number {
    return this.#bytes;
  }

  get complete(): boolean {
    return this.#here === this.count;
  }

  /** A piece that is there already, or of another message under the same id, is left aside. */
  add({ index, count, total, bytes }: Fragment): void {
    if (count !== this.count || total !== this.total || this.#parts[index]) return;
    this.#parts[index] = bytes.slice();
    this.#here++;
    this.#bytes += bytes.byteLength;
  }

  /** Indices of pieces that have not come, at most `limit`. */
  missing(limit: number): number[] {
    const indices: number[] = [];
    for (let i = 0; i < this.count && indices.length < limit; i++) if (!this.#parts[i]) indices.push(i);
    return indices;
  }

  /** The message. Only when {@link complete}. */
  join(): Uint8Array<ArrayBuffer> {
    const message = new Uint8Array(this.total);
    let at = 0;
    for (const part of this.#parts) {
      message.set(part!, at);
      at += part!.byteLength;
    }
    return message;
  }
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError('FRAME_INVALID', `This is no datagram of a message: ${reason}.`);
}
