// Requests that come as datagrams to one link: puts the pieces together, asks for those that do not come, and forgets
// what nobody finishes (FORMAT.md, "Links"). Bounded in messages, bytes and time, since datagrams cost a stranger little.
import { IsthmusError } from '../../errors.ts';
import { Assembly, type Fragment, readDatagram } from '../../wire/datagram.ts';
import type { ByteBudget } from '../http/readBody.ts';

/** Messages and bytes that a link may have half-way here; what goes beyond them is left to the client's stream. */
const MOST_MESSAGES = 16;
const MOST_BYTES = 8 * 1024 * 1024;
/** A message of which nothing came for so long is forgotten, and in any case after five times that. */
const LIFE_MS = 2000;
/** Pieces overtake each other by a few milliseconds; after such a pause they are lost. Doubles each time we ask. */
const PAUSE_MS = 25;
/** What a piece costs beside its bytes: a million pieces of one byte are more than a hundred million. */
const PIECE_BYTES = 128;
/** Indices in one `missing`. */
const MOST_MISSING = 4096;

export interface AssemblyEvents {
  /** These pieces did not come. */
  missing(id: number, indices: number[]): void;
  /** All pieces have come, and are this message. */
  complete(id: number, message: Uint8Array<ArrayBuffer>): void;
}

interface Pending {
  assembly: Assembly;
  /** Bytes that it holds, those around its pieces included. */
  cost: number;
  began: number;
  latest: number;
  askAt: number;
  pause: number;
  timer: NodeJS.Timeout;
}

export class Assemblies {
  readonly #pending = new Map<number, Pending>();
  readonly #messageBytes: number;
  readonly #budget: ByteBudget;
  readonly #events: AssemblyEvents;
  #bytes = 0;

  /** @param messageBytes the largest message that is put together */
  constructor(messageBytes: number, budget: ByteBudget, events: AssemblyEvents) {
    this.#messageBytes = Math.min(messageBytes, MOST_BYTES);
    this.#budget = budget;
    this.#events = events;
  }

  /** Messages being put together, and what they hold. */
  get held(): { messages: number; bytes: number } {
    return { messages: this.#pending.size, bytes: this.#bytes };
  }

  /** Takes one piece. Beyond the bounds it is dropped: the client hears nothing and sends the message on the stream. */
  add(piece: Fragment): void {
    const pending = this.#pending.get(piece.id) ?? this.#begin(piece);
    if (!pending) return;
    const { assembly } = pending;
    const before = assembly.bytes;
    const cost = piece.bytes.byteLength + PIECE_BYTES;
    if (this.#bytes + cost > MOST_BYTES) return;
    try {
      this.#budget.take(cost);
    } catch {
      return;
    }
    assembly.add(piece);
    if (assembly.bytes === before) this.#budget.give(cost);
    else {
      pending.cost += cost;
      this.#bytes += cost;
      pending.latest = performance.now();
      pending.askAt = Math.max(pending.askAt, pending.latest + PAUSE_MS);
    }
    if (!assembly.complete) return;
    this.drop(piece.id);
    this.#events.complete(piece.id, assembly.join());
  }

  /** The body of `fragments`. @throws IsthmusError FRAME_INVALID */
  addAll(body: Uint8Array): void {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    for (let at = 0; at < body.byteLength; ) {
      const length = at + 2 <= body.byteLength ? view.getUint16(at, true) : 0;
      if (length === 0 || at + 2 + length > body.byteLength) {
        throw new IsthmusError('FRAME_INVALID', 'The fragments do not fill their message.');
      }
      this.add(readDatagram(body.subarray(at + 2, at + 2 + length)));
      at += 2 + length;
    }
  }

  /** Forgets one message, because it came otherwise or nobody waits for it. */
  drop(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    clearTimeout(pending.timer);
    this.#pending.delete(id);
    this.#bytes -= pending.cost;
    this.#budget.give(pending.cost);
  }

  close(): void {
    for (const id of [...this.#pending.keys()]) this.drop(id);
  }

  #begin(piece: Fragment): Pending | undefined {
    if (this.#pending.size >= MOST_MESSAGES || piece.total > this.#messageBytes) return undefined;
    const now = performance.now();
    const timer = setTimeout(() => this.#look(piece.id), PAUSE_MS);
    const times = { began: now, latest: now, askAt: now + PAUSE_MS, pause: PAUSE_MS };
    const pending = { assembly: new Assembly(piece), cost: 0, ...times, timer };
    this.#pending.set(piece.id, pending);
    return pending;
  }

  /** Asks when nothing came for the length of a pause. One timer a message, not one a piece. */
  #look(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    const now = performance.now();
    if (now - pending.latest > LIFE_MS || now - pending.began > 5 * LIFE_MS) {
      this.drop(id);
      return;
    }
    if (now >= pending.askAt) {
      this.#events.missing(id, pending.assembly.missing(MOST_MISSING));
      pending.pause *= 2; // they are on their way over the stream now, which loses nothing
      pending.askAt = now + pending.pause;
    }
    pending.timer = setTimeout(() => this.#look(id), Math.max(1, pending.askAt - now));
  }
}

/** The body of `missing`. */
export function indexBytes(indices: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 * indices.length);
  const view = new DataView(bytes.buffer);
  for (const [i, index] of indices.entries()) view.setUint16(2 * i, index, true);
  return bytes;
}
