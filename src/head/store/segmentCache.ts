// SegmentCache: keeps downloaded segments (and the beginnings of unfinished ones) under their sha256, within a budget,
// dropping what was used longest ago. It checks nothing: modelStore.ts verifies what it takes out.
import { createSafeStore, type SafeStore } from './safeStore.ts';

/** Bytes on disk and the time of the last use, per sha256. */
interface Entry {
  bytes: number;
  used: number;
  /** Pieces of an unfinished download; absent once the segment is whole. */
  pieces?: number;
}
type Index = Record<string, Entry>;

const INDEX = 'index';
const wholeKey = (sha256: string) => `segment/${sha256}`;
const pieceKey = (sha256: string, n: number) => `piece/${sha256}/${n}`;

const keysOf = (sha256: string, entry: Entry) =>
  entry.pieces === undefined
    ? [wholeKey(sha256)]
    : Array.from({ length: entry.pieces }, (_, n) => pieceKey(sha256, n));

/** All methods settle without throwing; when the store cannot keep things they keep nothing. */
export class SegmentCache {
  readonly #store: SafeStore;
  readonly #budget: number;

  /** @param budget most bytes kept on disk, over all models */
  constructor(budget = 512 * 1024 * 1024, store: SafeStore = createSafeStore('isthmus-segments')) {
    this.#budget = budget;
    this.#store = store;
  }

  /** A whole segment, unverified. */
  async read(sha256: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = await this.#store.get<unknown>(wholeKey(sha256));
    if (!(bytes instanceof Uint8Array)) return undefined;
    await this.#note(sha256, { bytes: bytes.byteLength, used: Date.now() });
    return bytes as Uint8Array<ArrayBuffer>;
  }

  /** Whether a segment is here whole; unverified, and not noted as a use. */
  async holds(sha256: string): Promise<boolean> {
    return (await this.#store.get<unknown>(wholeKey(sha256))) instanceof Uint8Array;
  }

  /** Keeps a whole segment and forgets its pieces. */
  async write(sha256: string, bytes: Uint8Array): Promise<void> {
    await this.drop(sha256);
    if (bytes.byteLength > this.#budget) return;
    await this.#makeRoom(bytes.byteLength);
    if (await this.#store.set(wholeKey(sha256), bytes)) {
      await this.#note(sha256, { bytes: bytes.byteLength, used: Date.now() });
    }
  }

  /** The pieces of an unfinished download, in order, as far as they are all there. */
  async readPieces(sha256: string): Promise<Uint8Array<ArrayBuffer>[]> {
    const count = (await this.#index())[sha256]?.pieces ?? 0;
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    for (let n = 0; n < count; n++) {
      const piece = await this.#store.get<unknown>(pieceKey(sha256, n));
      if (!(piece instanceof Uint8Array)) break;
      pieces.push(piece as Uint8Array<ArrayBuffer>);
    }
    return pieces;
  }

  /** Adds piece number `n`, so that closing the page in the middle of a download loses little. */
  async writePiece(sha256: string, n: number, piece: Uint8Array): Promise<void> {
    if (n === 0) await this.drop(sha256); // pieces of an earlier beginning would be orphans
    const before = (await this.#index())[sha256];
    const kept = n > 0 && before?.pieces === n ? before.bytes : 0;
    if (kept + piece.byteLength > this.#budget) return;
    await this.#makeRoom(piece.byteLength, sha256);
    if (await this.#store.set(pieceKey(sha256, n), piece)) {
      await this.#note(sha256, { bytes: kept + piece.byteLength, used: Date.now(), pieces: n + 1 });
    }
  }

  /** Forgets a segment and its pieces. */
  async drop(sha256: string): Promise<void> {
    const index = await this.#index();
    const entry = index[sha256];
    await this.#store.delete([wholeKey(sha256), ...(entry ? keysOf(sha256, entry) : [])]);
    if (!entry) return;
    delete index[sha256];
    await this.#store.set(INDEX, index);
  }

  async #index(): Promise<Index> {
    const index = await this.#store.get<unknown>(INDEX);
    return typeof index === 'object' && index !== null ? (index as Index) : {};
  }

  async #note(sha256: string, entry: Entry): Promise<void> {
    await this.#store.set(INDEX, { ...(await this.#index()), [sha256]: entry });
  }

  async #makeRoom(bytes: number, except?: string): Promise<void> {
    const index = await this.#index();
    const oldestFirst = Object.entries(index).sort(([, a], [, b]) => a.used - b.used);
    let total = oldestFirst.reduce((sum, [, entry]) => sum + entry.bytes, 0);
    for (const [sha256, entry] of oldestFirst) {
      if (total + bytes <= this.#budget) break;
      if (sha256 === except) continue;
      await this.drop(sha256);
      total -= entry.bytes;
    }
  }
}
