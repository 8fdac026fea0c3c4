// FrameReader: cuts a byte stream into frames and token frames, however the stream was chopped. It holds one
// unfinished frame in a buffer of at most twice the bytes that came of it; checksums and contents are for readFrame.
import { LIMITS } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { MAGIC, VERSION } from './layout.ts';
import { TOKEN_HEADER_BYTES, tokenContext, tokenFrameBytes } from './tokenFrame.ts';

/** Where bytes come from: the body of a response, a WebTransport stream, a Node stream, any generator. */
export type ByteSource = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

const HEADER_BYTES = 32;

/**
 * Takes chunks of any size and gives back whole frames.
 *
 * Magic, version and length are looked at as soon as they are there, so that a stream that is no stream of frames ends
 * early. After the first error the place of the next frame is unknown, so the reader repeats that error for ever.
 *
 * @example
 * for await (const frame of FrameReader.over(response.body)) use(decodeFrame(frame));
 * @example
 * const reader = new FrameReader({ frameBytes: 1 << 20 });
 * socket.on('data', (chunk) => reader.push(chunk).forEach((frame) => use(decodeFrame(frame))));
 * socket.on('end', () => reader.end());
 */
export class FrameReader {
  readonly #limit: number;
  #buffer = new Uint8Array(HEADER_BYTES);
  #filled = 0;
  /** Length of the frame under way, or of the part of it that tells its length. */
  #wanted = 1;
  /** `#wanted` is the length of the whole frame. */
  #known = false;
  #error: IsthmusError | undefined;

  /** @param limits `frameBytes`: the largest frame that is accepted; default 64 MiB and a header */
  constructor({ frameBytes = LIMITS.outputBytes + LIMITS.headerBytes }: { frameBytes?: number } = {}) {
    this.#limit = frameBytes;
  }

  /**
   * @param chunk the next bytes of the stream; they are copied, so the caller may use the array again
   * @returns the frames that these bytes complete, each in an array of its own. Frames that were whole before an error
   *   in the same chunk are returned; the error comes with the next call.
   * @throws IsthmusError FRAME_INVALID (no frame where one must begin), FRAME_VERSION, TOO_LARGE, INPUT_INVALID (a chunk
   *   that is no bytes)
   */
  push(chunk: Uint8Array): Uint8Array<ArrayBuffer>[] {
    if (this.#error) throw this.#error;
    const frames: Uint8Array<ArrayBuffer>[] = [];
    try {
      if (chunk?.[Symbol.toStringTag] !== 'Uint8Array') throw notBytes();
      for (let at = 0; at < chunk.length; ) {
        at += this.#take(chunk, at);
        if (this.#filled < this.#wanted) break;
        if (!this.#known) this.#learn();
        if (this.#known && this.#filled === this.#wanted) frames.push(this.#finish());
      }
    } catch (thrown) {
      this.#error = IsthmusError.from(thrown, 'INTERNAL', 'The frame reader failed.');
      this.#buffer = new Uint8Array(0);
      if (frames.length === 0) throw this.#error;
    }
    return frames;
  }

  /**
   * Says that no more bytes come.
   * @throws IsthmusError FRAME_INVALID when the stream ends inside a frame, and any earlier error
   */
  end(): void {
    if (this.#filled > 0) {
      this.#error ??= invalid(
        `the stream ended after ${this.#filled} ${this.#known ? `of ${this.#wanted} bytes` : 'bytes of a header'}`,
      );
    }
    if (this.#error) throw this.#error;
  }

  /**
   * The frames of a whole stream, one at a time. A stream that is left early, or that breaks, is cancelled.
   * @throws IsthmusError as `push` and `end` do, INPUT_INVALID for what is no stream; what the stream itself throws passes through
   */
  static async *over(
    source: ByteSource,
    limits: { frameBytes?: number } = {},
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const reader = new FrameReader(limits);
    for await (const chunk of chunksOf(source)) {
      yield* reader.push(chunk);
      if (reader.#error) throw reader.#error;
    }
    reader.end();
  }

  /** Copies what the frame under way still wants. @returns how many bytes that was */
  #take(chunk: Uint8Array, at: number): number {
    const count = Math.min(this.#wanted - this.#filled, chunk.length - at);
    const needed = this.#filled + count;
    if (needed > this.#buffer.length) {
      // Doubling keeps the copies linear, and what has come keeps the size honest.
      const grown = new Uint8Array(Math.min(this.#wanted, Math.max(needed, 2 * this.#buffer.length)));
      grown.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = grown;
    }
    if (count === 1) this.#buffer[this.#filled] = chunk[at]!;
    else this.#buffer.set(chunk.subarray(at, at + count), this.#filled);
    this.#filled += count;
    return count;
  }

  /** Looks at a header as far as it is there: its first byte, then the rest. */
  #learn(): void {
    const bytes = this.#buffer;
    const isToken = tokenContext(bytes) !== undefined;
    if (!isToken && bytes[0] !== (MAGIC & 0xff)) throw invalid('no frame begins where one must');
    if (this.#filled === 1) {
      this.#wanted = isToken ? TOKEN_HEADER_BYTES : HEADER_BYTES;
      return;
    }
    this.#wanted = isToken ? tokenFrameBytes(bytes) : frameLength(bytes);
    this.#known = true;
    if (this.#wanted > this.#limit) {
      throw new IsthmusError(
        'TOO_LARGE',
        `The frame says it has ${this.#wanted} bytes; the limit is ${this.#limit}. Send less at once or raise the limit of the reader.`,
      );
    }
  }

  #finish(): Uint8Array<ArrayBuffer> {
    // The buffer never grows beyond a frame, so a longer one is the small one that every frame begins with.
    const frame = this.#buffer.length === this.#filled ? this.#buffer : this.#buffer.slice(0, this.#filled);
    if (frame === this.#buffer) this.#buffer = new Uint8Array(HEADER_BYTES);
    this.#filled = 0;
    this.#wanted = 1;
    this.#known = false;
    return frame;
  }
}

function frameLength(header: Uint8Array<ArrayBuffer>): number {
  const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC) throw invalid('no frame begins where one must');
  if (header[4] !== VERSION) {
    throw new IsthmusError(
      'FRAME_VERSION',
      `The frame has version ${header[4]}; this build reads version ${VERSION}. Update the older side.`,
    );
  }
  const length = view.getUint32(8, true);
  if (length < HEADER_BYTES) throw invalid(`it says it has ${length} bytes, less than a header`);
  return length;
}

/** Not every browser iterates over its own streams. */
async function* chunksOf(source: ByteSource): AsyncGenerator<Uint8Array, void, undefined> {
  if (typeof source !== 'object' || source === null || !('getReader' in source)) {
    const parts = source as Partial<AsyncIterable<Uint8Array> & Iterable<Uint8Array>> | null | undefined;
    if (!parts?.[Symbol.asyncIterator] && !parts?.[Symbol.iterator]) throw notStream();
    yield* source;
    return;
  }
  const reader = source.getReader();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      ended = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!ended) await reader.cancel().catch(() => undefined);
    reader.releaseLock();
  }
}

const notStream = () =>
  new IsthmusError(
    'INPUT_INVALID',
    'Frames are read from a stream of bytes. Give one that is there, such as response.body.',
  );

const notBytes = () =>
  new IsthmusError(
    'INPUT_INVALID',
    'A chunk of the stream is no Uint8Array. Read the stream as bytes, not as text.',
  );

function invalid(reason: string): IsthmusError {
  return new IsthmusError(
    'FRAME_INVALID',
    `This is not a stream of frames: ${reason}. Send whole, unaltered frames back to back.`,
  );
}
