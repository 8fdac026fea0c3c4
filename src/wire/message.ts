// Messages: the envelope around frames on every link that carries more than one request (FORMAT.md, "Links"). It names
// the request, says how urgent it is and when it expires; what is inside a request or a reply is a frame, not read here.
import { LIMITS } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';

/** Types by their code on the wire. */
export const MESSAGE_TYPES = [
  /** Client: first message of a link. Body: JSON {@link Hello}. */
  'hello',
  /** Tail: the link is open. Body: JSON {@link Welcome}. */
  'welcome',
  /** Client: body is a request frame. */
  'request',
  /** Tail: body is a reply frame or an error frame. */
  'reply',
  /** Client: nobody waits for this request any more. No body. */
  'cancel',
  /** Tail: it is stopping. What is under way will be answered, nothing new is taken. No body. */
  'goaway',
  /** Either side; the other answers `pong` with the same id and body. */
  'ping',
  'pong',
  /** Tail: these datagrams of a request did not come. Body: their indices, u16 each. */
  'missing',
  /** Client: datagrams sent again on the reliable stream. Body: for each, its length as u16 and itself. */
  'fragments',
  /** Tail: all datagrams of a request have come. No body. */
  'received',
] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

export interface Message {
  type: MessageType;
  /** Chosen by the client, from 1; unique on the link while the request is under way. 0 where no request is meant. */
  id: number;
  /** Of a request: 0 (first) to 7 (when nothing else waits), 3 when nobody says anything: RFC 9218, "urgency". */
  urgency: number;
  /** Of a reply: others for the same request follow. */
  more: boolean;
  /** Of a request: milliseconds from its arrival after which nobody wants the answer; 0 for none. */
  deadlineMs: number;
  body: Uint8Array;
}

export interface Hello {
  version: 1;
  /** From `POST /tickets`; absent where the tail asks for none. */
  ticket?: string;
}

export interface Welcome {
  version: 1;
  /** Requests that may be under way on this link at once. */
  inFlight: number;
  /** Largest message in bytes. */
  messageBytes: number;
}

export const MESSAGE_HEADER_BYTES = 16;
export const DEFAULT_URGENCY = 3;
/** Largest frame that exists, in its envelope. */
const LARGEST = MESSAGE_HEADER_BYTES + LIMITS.headerBytes + LIMITS.outputBytes + 4 * LIMITS.tensors;
const MORE = 8;
const EMPTY = new Uint8Array(0);

/** @returns one message in an array of its own; body is copied */
export function writeMessage(
  type: MessageType,
  id: number,
  options: Partial<Pick<Message, 'urgency' | 'more' | 'deadlineMs' | 'body'>> = {},
): Uint8Array<ArrayBuffer> {
  const { urgency = DEFAULT_URGENCY, more = false, deadlineMs = 0, body = EMPTY } = options;
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + body.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.byteLength, true);
  bytes[4] = MESSAGE_TYPES.indexOf(type);
  bytes[5] = urgency | (more ? MORE : 0);
  view.setUint32(8, id, true);
  view.setUint32(12, Math.min(0xffffffff, Math.max(0, Math.ceil(deadlineMs))), true);
  bytes.set(body, MESSAGE_HEADER_BYTES);
  return bytes;
}

/**
 * @returns the message; its body shares memory with `bytes`
 * @throws IsthmusError FRAME_INVALID for what is not exactly one message
 */
export function readMessage(bytes: Uint8Array): Message {
  if (bytes.byteLength < MESSAGE_HEADER_BYTES)
    throw invalid(`${bytes.byteLength} bytes are less than a header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0, true);
  if (length !== bytes.byteLength)
    throw invalid(`it says it has ${length} bytes but ${bytes.byteLength} came`);
  const type = MESSAGE_TYPES[bytes[4]!];
  if (!type) throw invalid(`type ${bytes[4]} is unknown`);
  const flags = bytes[5]!;
  if (flags > 15 || bytes[6] !== 0 || bytes[7] !== 0) throw invalid('a reserved bit is set');
  return {
    type,
    id: view.getUint32(8, true),
    urgency: flags & 7,
    more: (flags & MORE) !== 0,
    deadlineMs: view.getUint32(12, true),
    body: bytes.subarray(MESSAGE_HEADER_BYTES),
  };
}

/** Cuts a byte stream into messages, however it was chopped; it never holds more than one message and a chunk. */
export class MessageReader {
  readonly #limit: number;
  #buffer = new Uint8Array(MESSAGE_HEADER_BYTES);
  #filled = 0;
  #wanted = 4;

  /** @param messageBytes the largest message that is accepted */
  constructor(messageBytes = LARGEST) {
    this.#limit = messageBytes;
  }

  /** Bytes of a message that has begun and not ended. */
  get pending(): number {
    return this.#filled;
  }

  /**
   * @param chunk the next bytes; copied
   * @returns the messages that these bytes complete, each in memory of its own
   * @throws IsthmusError TOO_LARGE, FRAME_INVALID; the place of the next message is unknown then, so the link must end
   */
  push(chunk: Uint8Array): Message[] {
    const messages: Message[] = [];
    for (let at = 0; at < chunk.length; ) {
      const step = Math.min(chunk.length - at, this.#wanted - this.#filled);
      this.#room(this.#filled + step);
      this.#buffer.set(chunk.subarray(at, at + step), this.#filled);
      this.#filled += step;
      at += step;
      if (this.#filled < this.#wanted) break;
      if (this.#wanted === 4) this.#learn();
      else {
        messages.push(readMessage(this.#buffer.subarray(0, this.#filled)));
        this.#buffer = new Uint8Array(MESSAGE_HEADER_BYTES);
        this.#filled = 0;
        this.#wanted = 4;
      }
    }
    return messages;
  }

  #learn(): void {
    const length = new DataView(this.#buffer.buffer).getUint32(0, true);
    if (length < MESSAGE_HEADER_BYTES) throw invalid(`it says it has ${length} bytes`);
    if (length > this.#limit) {
      throw new IsthmusError(
        'TOO_LARGE',
        `A message of ${length} bytes was announced; the limit is ${this.#limit}. Send less, or cut later.`,
      );
    }
    this.#wanted = length;
  }

  /** Grows with the bytes that came, not with those that were announced. */
  #room(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.min(this.#wanted, Math.max(bytes, 2 * this.#buffer.length)));
    larger.set(this.#buffer.subarray(0, this.#filled));
    this.#buffer = larger;
  }
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError(
    'FRAME_INVALID',
    `These bytes are no message: ${reason}. Check that both sides are the same release.`,
  );
}
