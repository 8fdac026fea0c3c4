// Sessions of one worker thread: made when a segment is first needed, the least recently used released when the files
// behind them pass a bound. Segments are cached one by one because the chains behind different cuts share them.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { InferenceSession } from 'onnxruntime-node';
import { IsthmusError } from '../../errors.ts';
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

  /**
   * @throws IsthmusError INFERENCE_FAILED when the file has gone or changed since it was checked at start: answers of
   *   a model that is not the one clients agreed on would look right and be wrong.
   */
  async get({ path, sha256, bytes }: SegmentFile): Promise<InferenceSession> {
    const known = this.#entries.get(sha256);
    if (known) {
      this.#entries.delete(sha256);
      this.#entries.set(sha256, known);
      return known.session;
    }
    await this.#makeRoom(bytes);
    const model = await readFile(path).catch((cause: unknown) => {
      throw changed('cannot be read any more', cause); // in words of ours: Node's message tells strangers our folders
    });
    if (createHash('sha256').update(model).digest('hex') !== sha256) throw changed('has changed');
    const session = await this.#create(model);
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

function changed(how: string, cause?: unknown): IsthmusError {
  return new IsthmusError(
    'INFERENCE_FAILED',
    `A segment's file ${how} since the tail started. Its operator must restart it.`,
    { cause },
  );
}
