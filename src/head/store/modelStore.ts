// ModelStore: a segment's bytes by sha256, from this device's cache or from the tail's artifacts, verified either way.
// First stop of the flow on this device; it compiles nothing (segments.ts).
import { IsthmusError } from '../../errors.ts';
import { sha256Hex } from '../../model/manifest.ts';
import { type DownloadTarget, download } from './download.ts';
import { SegmentCache } from './segmentCache.ts';

export interface SegmentRequest {
  /** `GET ${artifacts}/${sha256}` answers the bytes. */
  artifacts: string;
  sha256: string;
  bytes: number;
  token?: string | undefined;
  /** Nothing is fetched. */
  keptOnly?: boolean | undefined;
}

export interface ModelStoreOptions {
  /** Replaces the platform's fetch; the seam where tests cut and damage downloads. */
  fetch?: typeof fetch;
  cache?: SegmentCache;
  /** Milliseconds before the first retry of a broken download, doubled each time. */
  backoffMs?: number;
}

/** An unfinished download is kept in steps of this size, so that a closed page resumes. */
const PIECE_BYTES = 2 * 1024 * 1024;

/**
 * @example
 * const bytes = await new ModelStore().get({ artifacts, sha256, bytes: 81920 }, (n) => show(n), signal);
 */
export class ModelStore {
  readonly #fetch: typeof fetch;
  readonly #cache: SegmentCache;
  readonly #backoffMs: number | undefined;

  constructor(options: ModelStoreOptions = {}) {
    this.#fetch = options.fetch ?? ((...args) => fetch(...args));
    this.#cache = options.cache ?? new SegmentCache();
    this.#backoffMs = options.backoffMs;
  }

  /**
   * @param told called with the bytes of this segment that are here; never with fewer than before, though a server that
   *   cannot resume sends them again
   * @throws IsthmusError INTEGRITY_MISMATCH, DOWNLOAD_FAILED, NOT_FOUND or NOT_ISTHMUS; the signal's reason. Never for
   *   trouble with the cache.
   */
  async get(
    request: SegmentRequest,
    told?: (loaded: number) => void,
    signal?: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    signal?.throwIfAborted();
    const { sha256 } = request;
    const onBytes = told && onlyMore(told);
    const kept = await this.#cache.read(sha256);
    if (kept) {
      if (await isGenuine(kept, request)) {
        onBytes?.(kept.byteLength);
        return kept;
      }
      await this.#cache.drop(sha256);
    }
    if (request.keptOnly)
      throw new IsthmusError(
        'DOWNLOAD_FAILED',
        `A part of the model (sha256 ${sha256.slice(0, 12)}…) is not kept on this device. Load it while the tail can be reached.`,
      );
    const target: DownloadTarget = {
      url: `${request.artifacts}/${sha256}`,
      bytes: request.bytes,
      token: request.token,
    };
    const bytes =
      (await this.#attempt(target, sha256, onBytes, signal)) ??
      // Once more, past every HTTP cache and from the first byte.
      (await this.#attempt(target, sha256, onBytes, signal, 'reload'));
    if (!bytes) {
      throw new IsthmusError(
        'INTEGRITY_MISMATCH',
        `${target.url} does not have the bytes that the manifest promises (sha256 ${sha256.slice(0, 12)}…). Make the server's model folder anew with \`isthmus split\`, and look for a proxy that rewrites downloads.`,
      );
    }
    await this.#cache.write(sha256, bytes);
    return bytes;
  }

  /** Undefined when what came has the wrong hash or length. */
  async #attempt(
    target: DownloadTarget,
    sha256: string,
    onBytes?: (loaded: number) => void,
    signal?: AbortSignal,
    cache?: RequestCache,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const have = cache ? [] : await this.#cache.readPieces(sha256);
    const keeper = new PieceKeeper(this.#cache, sha256, have);
    try {
      const pieces = await download(target, {
        fetch: this.#fetch,
        have: total(have) <= target.bytes ? have : [],
        signal,
        onBytes,
        onPiece: (pieces) => keeper.offer(pieces),
        ...(cache && { cache }),
        ...(this.#backoffMs !== undefined && { backoffMs: this.#backoffMs }),
      });
      await keeper.stop();
      const bytes = join(pieces);
      if (await isGenuine(bytes, { sha256, bytes: target.bytes })) return bytes;
    } catch (thrown) {
      const wrongBytes = thrown instanceof IsthmusError && thrown.code === 'INTEGRITY_MISMATCH';
      if (!wrongBytes) {
        await keeper.flush();
        throw thrown;
      }
      await keeper.stop();
    }
    await this.#cache.drop(sha256);
    return undefined;
  }
}

/** Writes an unfinished download behind the network's back: one write at a time, in steps, never waited for. */
class PieceKeeper {
  readonly #cache: SegmentCache;
  readonly #sha256: string;
  /** How much of the list is on disk: pieces on disk, elements of the list and bytes they hold. */
  #onDisk: { count: number; elements: number; bytes: number };
  #latest: Uint8Array<ArrayBuffer>[];
  #first: Uint8Array<ArrayBuffer> | undefined;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;
  #stopped = false;

  constructor(cache: SegmentCache, sha256: string, have: Uint8Array<ArrayBuffer>[]) {
    this.#cache = cache;
    this.#sha256 = sha256;
    this.#latest = have;
    this.#first = have[0];
    this.#onDisk = { count: have.length, elements: have.length, bytes: total(have) };
  }

  offer(pieces: Uint8Array<ArrayBuffer>[]): void {
    // Another first element: the server could not resume and the list began anew.
    if (pieces[0] !== this.#first) this.#onDisk = { count: 0, elements: 0, bytes: 0 };
    this.#first = pieces[0];
    this.#latest = pieces;
    if (!this.#busy && !this.#stopped && total(pieces) - this.#onDisk.bytes >= PIECE_BYTES) this.#write();
  }

  /** Keeps also the last, short piece. */
  async flush(): Promise<void> {
    await this.#writing;
    if (!this.#stopped && total(this.#latest) > this.#onDisk.bytes) this.#write();
    await this.#writing;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#writing;
  }

  #write(): void {
    const { count, elements } = this.#onDisk;
    const piece = join(this.#latest.slice(elements));
    this.#onDisk = { count: count + 1, elements: this.#latest.length, bytes: total(this.#latest) };
    this.#busy = true;
    this.#writing = this.#cache.writePiece(this.#sha256, count, piece).finally(() => {
      this.#busy = false;
    });
  }
}

function onlyMore(tell: (loaded: number) => void): (loaded: number) => void {
  let most = -1;
  return (loaded) => {
    if (loaded <= most) return;
    most = loaded;
    tell(loaded);
  };
}

const total = (pieces: Uint8Array[]) => pieces.reduce((sum, piece) => sum + piece.byteLength, 0);

function join(pieces: Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  if (pieces.length === 1) return pieces[0]!;
  const bytes = new Uint8Array(total(pieces));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}

async function isGenuine(bytes: Uint8Array, wanted: { sha256: string; bytes: number }): Promise<boolean> {
  return bytes.byteLength === wanted.bytes && (await sha256Hex(bytes)) === wanted.sha256;
}
