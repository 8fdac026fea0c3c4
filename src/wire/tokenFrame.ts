// Token frames (FORMAT.md, "Token frames"): eight bytes and a body, for traffic of one small frame after another. Here
// are tag, length and checksum only; tokenBody.ts says what the body holds.
import { IsthmusError } from '../errors.ts';
import { crc32 } from './crc32.ts';

/** Bytes before the body. */
export const TOKEN_HEADER_BYTES = 8;
/** Largest body; beyond it an ordinary frame's header weighs nothing. */
const MAX_TOKEN_BODY = 0xffff;
/** Contexts that one link can hold open at a time. */
export const TOKEN_CONTEXTS = 8;

/** What both ends know without sending it, and what ties a token to its place. */
export interface TokenPlace {
  /** 0…7, as the opening frame says. */
  context: number;
  /** CRC-32 field of the opening frame. */
  opening: number;
  /** 1 for the first token frame, the opening frame being token 0. */
  sequence: number;
}

/** First byte: three ones, the context, SAME, and a bit that makes the number of ones even. */
function tagOf(context: number, same: number): number {
  const parity = (1 ^ context ^ (context >> 1) ^ (context >> 2) ^ same) & 1;
  return 0xe0 | (context << 2) | (same << 1) | parity;
}

/**
 * The context that a token frame belongs to, from its first byte; undefined for anything else.
 *
 * @example
 * const context = tokenContext(bytes);
 * if (context === undefined) decodeFrame(bytes); else readers[context].decode(bytes);
 */
export function tokenContext(bytes: Uint8Array): number | undefined {
  const tag = bytes[0] ?? 0;
  const context = (tag >> 2) & 7;
  return tag === tagOf(context, (tag >> 1) & 1) ? context : undefined;
}

/** Length of a token frame from its first four bytes. */
export function tokenFrameBytes(bytes: Uint8Array): number {
  return TOKEN_HEADER_BYTES + bytes[2]! + bytes[3]! * 256;
}

/** What a token frame carries. */
export interface TokenContent {
  /** Flags and params of all tensors are those of the opening frame, and not in the body. */
  same: boolean;
  body: Uint8Array;
}

/** @throws IsthmusError TOO_LARGE for a body above 65535 bytes */
export function writeTokenFrame(place: TokenPlace, { same, body }: TokenContent): Uint8Array<ArrayBuffer> {
  if (body.length > MAX_TOKEN_BODY) {
    throw new IsthmusError(
      'TOO_LARGE',
      `A token of ${body.length} bytes is above the ${MAX_TOKEN_BODY} of a token frame. Send it in an ordinary frame.`,
    );
  }
  const bytes = new Uint8Array(TOKEN_HEADER_BYTES + body.length);
  bytes.set([
    tagOf(place.context, same ? 1 : 0),
    place.sequence & 0xff,
    body.length & 0xff,
    body.length >> 8,
  ]);
  bytes.set(body, TOKEN_HEADER_BYTES);
  new DataView(bytes.buffer).setUint32(4, checksum(place, bytes), true);
  return bytes;
}

/**
 * Checks one whole token frame against the place at which it is awaited.
 *
 * @returns what it carries; the body shares memory with `bytes`
 * @throws IsthmusError FRAME_INVALID (no token frame of this context, cut short, out of order), FRAME_CORRUPT (damaged)
 */
export function readTokenFrame(place: TokenPlace, bytes: Uint8Array): TokenContent {
  if (bytes.length < TOKEN_HEADER_BYTES) throw invalid(`${bytes.length} bytes are less than its header`);
  const context = tokenContext(bytes);
  if (context !== place.context) {
    throw invalid(
      context === undefined
        ? 'it does not begin like one'
        : `it belongs to context ${context}, not ${place.context}`,
    );
  }
  const length = tokenFrameBytes(bytes);
  if (length !== bytes.length) throw invalid(`it says it has ${length} bytes but ${bytes.length} came`);
  const expected = place.sequence & 0xff;
  if (bytes[1] !== expected)
    throw invalid(`token ${bytes[1]} came where ${expected} was expected: lost, repeated or out of order`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(4, true) !== checksum(place, bytes)) {
    throw new IsthmusError(
      'FRAME_CORRUPT',
      'The checksum of a token frame does not match: damaged on the way, or of another context. Send it again.',
    );
  }
  const body = new Uint8Array(
    bytes.buffer,
    bytes.byteOffset + TOKEN_HEADER_BYTES,
    length - TOKEN_HEADER_BYTES,
  );
  return { same: (bytes[0]! & 2) !== 0, body };
}

/** Over the opening's checksum, the whole sequence number, and the frame but for the checksum's own four bytes. */
function checksum({ opening, sequence }: TokenPlace, frame: Uint8Array): number {
  const implied = new DataView(new ArrayBuffer(8));
  implied.setUint32(0, opening, true);
  implied.setUint32(4, sequence, true);
  const header = crc32(frame.subarray(0, 4), crc32(new Uint8Array(implied.buffer)));
  return crc32(frame.subarray(TOKEN_HEADER_BYTES), header);
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError(
    'FRAME_INVALID',
    `This token frame cannot be read: ${reason}. Send the tokens of a context whole and in order, or open a new one.`,
  );
}
