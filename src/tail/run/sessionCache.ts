// Sessions of one worker thread: made when a segment is first needed, the least recently used released when the files
// behind them pass a bound. Segments are cached one by one because the chains behind different cuts share them.
import type { InferenceSession } from 'onnxruntime-node';
import { segmentContent } from './segmentContent.ts';
import type { SegmentFile } from './threadMessages.ts';

export type CreateSession = (model: Uint8Array) => Promise<InferenceSession>;

export class SessionCache {
  readonly #maxBytes: number;
  readonly #create: CreateSession;
  /** By sha256; a Map keeps the order of insertion, so the first entry is the one unused for longest. */
  readonly #entries = new Map<string, { session: InferenceSession; bytes: number }>();
  #bytes = 0;

  constructor(maxBytes: number, create: CreateSession) {
    this.#maxBytes = maxBytes;
    this.#create = create;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** sha256 of the segments that are loaded. */
  held(): string[] {
    return [...this.#entries.keys()];
  }

  /**
   * @throws IsthmusError INFERENCE_FAILED when the file has gone or changed since it was checked at start: answers of
   *   a model that is not the one clients agreed on would look right and be wrong.
   */
  async get(file: SegmentFile): Promise<InferenceSession> {
    const { sha256, bytes } = file;
    const known = this.#entries.get(sha256);
    if (known) {
      this.#entries.delete(sha256);
      this.#entries.set(sha256, known);
      return known.session;
    }
    await this.#makeRoom(bytes);
    const session = await this.#create(await segmentContent(file));
    this.#entries.set(sha256, { session, bytes });
    this.#bytes += bytes;
    return session;
  }

  /** A session larger than the bound is allowed to be alone. */
  async #makeRoom(bytes: number): Promise<void> {
    for (const [sha256, old] of this.#entries) {
      if (this.#bytes + bytes <= this.#maxBytes) return;
      this.#entries.delete(sha256);
      this.#bytes -= old.bytes;
      await old.session.release();
    }
  }
}
