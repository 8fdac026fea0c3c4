// A slot: the place of one worker thread in the pool. It knows what the thread does now, which sessions it has and which
// profiles it was given; what it does next is decided elsewhere.
import type { Worker } from 'node:worker_threads';
import { ProfileAccount } from './cargo.ts';
import type { SegmentFile, ThreadReply } from './threadMessages.ts';

interface Work<Entry> {
  entries: readonly Entry[];
  /** Bytes of segments that have to be loaded for it. */
  loading: number;
  /** @param begun when the thread could begin with it, in milliseconds of performance.now() */
  answer: (reply: ThreadReply, begun: number) => void;
  given: number;
}

export class Slot<Entry> {
  readonly index: number;
  worker: Worker | undefined;
  profiles = new ProfileAccount();
  /** What the thread does now and, under pressure, what it does next. */
  #works: Work<Entry>[] = [];
  #sessions: ReadonlySet<string> = new Set();
  #lastDone = Number.NEGATIVE_INFINITY;

  constructor(index: number) {
    this.index = index;
  }

  get busy(): boolean {
    return this.#works.length > 0;
  }

  /** Whether it may be given one more, to begin with as soon as it is done with the first. */
  get takesNext(): boolean {
    return this.#works.length === 1 && this.loading === 0;
  }

  /** Bytes of segments that it had to load for what it does now. */
  get loading(): number {
    return this.#works[0]?.loading ?? 0;
  }

  /** What its thread works on. */
  get entries(): readonly Entry[] {
    return this.#works.flatMap((work) => work.entries);
  }

  /** Bytes of these segments that are not loaded. */
  missing(segments: readonly SegmentFile[]): number {
    return segments.reduce((sum, { sha256, bytes }) => sum + (this.#sessions.has(sha256) ? 0 : bytes), 0);
  }

  begin(entries: readonly Entry[], loading: number, answer: Work<Entry>['answer']): void {
    this.#works.push({ entries, loading, answer, given: performance.now() });
  }

  done(reply: ThreadReply): void {
    const work = this.#works.shift();
    if (reply.sessions) this.#sessions = new Set(reply.sessions);
    const begun = Math.max(work?.given ?? 0, this.#lastDone);
    this.#lastDone = performance.now();
    work?.answer(reply, begun);
  }

  /** Its thread has ended. @returns what it leaves undone */
  ended(): readonly Entry[] {
    const { entries } = this;
    this.#works = [];
    this.worker = undefined;
    this.#sessions = new Set();
    this.profiles = new ProfileAccount();
    return entries;
  }
}
