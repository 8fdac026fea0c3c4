// Token contexts: per-token traffic of a language model, or any run of small equal tensors, with eight header bytes a
// frame. An ordinary frame opens the context and is its token 0; FORMAT.md, "Token frames". It sends nothing itself.
import { IsthmusError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { readFrame } from '../wire/readFrame.ts';
import { readTokenBody, type Template, writeTokenBody } from '../wire/tokenBody.ts';
import { readTokenFrame, TOKEN_CONTEXTS, type TokenPlace, writeTokenFrame } from '../wire/tokenFrame.ts';
import { decodeTensors } from './cpu/decode.ts';
import { type DecodedFrame, encodeAll, encodeFrame, type FrameOptions, type Limits } from './frames.ts';
import { type EncodedTensor, resolveCodec } from './params.ts';

/** Options of the frame that opens a context. */
export type TokenOptions = FrameOptions & {
  /** Number of the context on its link, 0…7; default 0. Opening a number again replaces the context. */
  context?: number;
};

/** The sending end of a context. */
export interface TokenWriter {
  /** The ordinary frame that carries the first token and opens the context at the other end. Send it first. */
  readonly opening: Uint8Array<ArrayBuffer>;
  /**
   * Makes the frame of the next token. When it throws, no token was counted.
   *
   * @param token tensors of the same number, element types and shapes as the first token's, in the same order. Tensors
   *   that are encoded already (on the GPU) are taken as they are.
   * @throws IsthmusError INPUT_INVALID (other tensors), TOO_LARGE (above 65535 bytes), and what encoding throws
   */
  encode(token: readonly (Tensor | EncodedTensor)[]): Uint8Array<ArrayBuffer>;
}

/** The receiving end of a context. */
export interface TokenReader {
  /** Number of the context on its link. */
  readonly context: number;
  /** The opening frame with the first token. */
  readonly opening: DecodedFrame;
  /**
   * Reads the next token. When it throws, the reader still waits for the same token, so a damaged one can be sent again.
   *
   * @throws IsthmusError FRAME_INVALID (another context, cut short, lost, repeated or out of order), FRAME_CORRUPT
   *   (damaged), and what decoding throws
   */
  decode(frame: Uint8Array): Tensor[];
}

/**
 * Opens a token context at the sending end.
 *
 * Each further token costs 8 bytes and its payload when it is raw, or when its codec's params are those of the first
 * token; otherwise its params come on top, as they do in any frame.
 *
 * @param first the first token
 * @throws IsthmusError what `encodeFrame` throws, and OPTION_INVALID for a context outside 0…7
 * @example
 * const tokens = openTokens([hidden], { codec: 'raw' }); // float16 [1, 1, 4096]
 * socket.send(tokens.opening);
 * for await (const next of model) socket.send(tokens.encode([next])); // 8 + 8192 bytes
 */
export function openTokens(
  first: readonly (Tensor | EncodedTensor)[],
  options: TokenOptions = {},
): TokenWriter {
  const { context = 0, codec = 'isthmus', meta = {}, ...rest } = options;
  if (!isContext(context)) {
    throw new IsthmusError(
      'OPTION_INVALID',
      `A token context is a whole number from 0 to ${TOKEN_CONTEXTS - 1}, not ${context}. Correct the option.`,
    );
  }
  const params = resolveCodec(codec);
  const opening = encodeFrame(first, { ...rest, codec: params, meta: { ...meta, token: { context } } });
  const { place, templates } = contextOf(opening, context, readFrame(opening).tensors);
  return {
    opening,
    encode(token) {
      const frame = writeTokenFrame(place, writeTokenBody(templates, encodeAll(token, params)));
      place.sequence++;
      return frame;
    },
  };
}

/**
 * Opens a token context at the receiving end.
 *
 * @param opening the frame that {@link openTokens} made; it is not referred to afterwards but for raw tensors of `opening`
 * @throws IsthmusError what `decodeFrame` throws, and FRAME_INVALID for a frame that opens no context
 * @example
 * const tokens = readTokens(await nextMessage());
 * use(tokens.opening.tensors);
 * for (;;) use(tokens.decode(await nextMessage()));
 */
export function readTokens(opening: Uint8Array, limits: Limits = {}): TokenReader {
  const frame = readFrame(opening, limits);
  const { token } = frame.meta as { token?: { context?: unknown } | null };
  const context = token?.context;
  if (!isContext(context)) {
    throw new IsthmusError(
      'FRAME_INVALID',
      'This frame opens no token context: its meta has no token.context from 0 to 7. Send the opening frame first.',
    );
  }
  const tensors = decodeTensors(frame.tensors, limits);
  const { place, templates } = contextOf(opening, context, frame.tensors);
  return {
    context,
    opening: { ...frame, tensors },
    decode(bytes) {
      const encoded = readTokenBody(templates, readTokenFrame(place, bytes));
      const decoded = decodeTensors(encoded, limits);
      place.sequence++;
      return decoded;
    },
  };
}

function isContext(x: unknown): x is number {
  return Number.isInteger(x) && (x as number) >= 0 && (x as number) < TOKEN_CONTEXTS;
}

/** What both ends remember of the opening frame. */
function contextOf(
  opening: Uint8Array,
  context: number,
  tensors: readonly EncodedTensor[],
): { place: TokenPlace; templates: Template[] } {
  const view = new DataView(opening.buffer, opening.byteOffset, opening.length);
  return {
    place: { context, opening: view.getUint32(12, true), sequence: 1 },
    templates: tensors.map(({ payload: _, ...t }) => ({ ...t, params: t.params.slice() })),
  };
}
