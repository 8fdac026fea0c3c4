// Stream: a source of frames through session.run, several at a time, answers in the order of the frames. While one frame
// crosses, the head of the next runs. It bounds what is under way and what waits, and knows neither plans nor links.
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { Result } from './resultTypes.ts';
import { openScope, type Scope } from './scope.ts';
import { similarity, type Thumbnail, thumbnailer } from './similarity.ts';
import { type Frame, type FrameSource, openSource } from './streamSource.ts';
import type { StreamOptions, StreamResult, StreamSource } from './streamTypes.ts';
import type { Input, RunOptions } from './types.ts';

/** One frame crosses, the next computes, a third is ready to go. */
const IN_FLIGHT = 3;

/** What the next frame would fail with as well. CLOSED is not: a tail that stops says so too, and another may be there. */
const ENDING: ReadonlySet<ErrorCode> = new Set(['OPTION_INVALID', 'CUT_INVALID', 'CODEC_INVALID']);

/** A frame that was begun; results leave in the order of slots. */
interface Slot {
  frame: number;
  settled?: { result: Result } | { error: unknown };
  /** Its own run, or that of the frame it repeats, and what stops it. */
  run: Promise<Result>;
  leave: AbortController;
  repeated: boolean;
}

/** @internal `session.stream` */
export function streamOf(
  run: (input: Input, options: RunOptions) => Promise<Result>,
  closing: AbortSignal,
  source: StreamSource,
  { latestOnly = false, maxInFlight = IN_FLIGHT, similarity: alike, onError, ...options }: StreamOptions = {},
): AsyncGenerator<StreamResult, void, undefined> {
  checkOptions(maxInFlight, alike);
  const leaving = new AbortController();
  let scope: Scope;
  const slots: Slot[] = [];
  const thumb = thumbnailer();
  /** The frame that later ones are compared with: the last that was run. */
  let last: (Pick<Slot, 'run' | 'leave'> & { thumbnail: Thumbnail }) | undefined;
  let waiting: { frame: number; taken: Frame } | undefined;
  let opened: FrameSource | undefined;
  let frames = 0;
  let sourceEnd: { error?: unknown } | undefined;
  let over = false;
  /** A frame that fails at once must leave time for the rest of the page, too. */
  let breathe = false;
  let wake: () => void = () => undefined;
  const changed = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });
  let room: () => void = () => undefined;

  function begin(frame: number, taken: Frame): void {
    const thumbnail = alike === undefined ? undefined : thumb(taken.input);
    const same = thumbnail && last && similarity(thumbnail, last.thumbnail) >= alike! ? last : undefined;
    const leave = same?.leave ?? new AbortController();
    const task = same?.run ?? run(taken.input, { ...options, signal: leave.signal });
    if (same) taken.release();
    else {
      task.then(taken.release, taken.release);
      last = thumbnail && { thumbnail, run: task, leave };
    }
    const slot: Slot = { frame, run: task, leave, repeated: same !== undefined };
    slots.push(slot);
    task.then(
      (result) => {
        slot.settled = { result };
        wake();
      },
      (error: unknown) => {
        slot.settled = { error };
        if (last?.run === task) last = undefined; // nothing to repeat
        wake();
      },
    );
  }

  /** Pulls the source: as far as there is room, or, for the latest only, as fast as it yields. */
  async function pump(): Promise<void> {
    try {
      opened = await openSource(source);
      while (!over) {
        if (!latestOnly) await haveRoom();
        if (over) break;
        const taken = await opened.next();
        if (!taken) break;
        if (over) taken.release();
        else if (slots.length < maxInFlight) begin(frames++, taken);
        else supersede({ frame: frames++, taken });
        // A source that always has a frame must leave time for the rest of the page.
        if (waiting || breathe || slots.at(-1)?.repeated) await macrotask();
        breathe = false;
      }
      sourceEnd = {};
    } catch (error) {
      sourceEnd = { error };
    }
    opened?.stop();
    wake();
  }

  async function haveRoom(): Promise<void> {
    while (!over && slots.length >= maxInFlight)
      await new Promise<void>((resolve) => {
        room = resolve;
      });
  }

  function supersede(newer: typeof waiting): void {
    waiting?.taken.release();
    waiting = newer;
  }

  /** The next answer that may leave, if it is there. */
  function take(): Slot | undefined {
    if (latestOnly) dropOvertaken();
    const slot = slots[0]?.settled && slots.shift();
    if (!slot) return undefined;
    if (waiting && slots.length < maxInFlight) {
      const { frame, taken } = waiting;
      waiting = undefined;
      begin(frame, taken);
    }
    room();
    return slot;
  }

  /** Whoever wants the latest has no use for an answer that a later one has overtaken, there already or still on its way. */
  function dropOvertaken(): void {
    let newest = slots.length - 1;
    while (newest > 0 && !('result' in (slots[newest]!.settled ?? {}))) newest--;
    for (const { settled, leave, frame, repeated } of slots.splice(0, newest)) {
      if (!settled) leave.abort();
      else if ('error' in settled) failed(settled.error, frame, repeated);
    }
  }

  function stop(): void {
    over = true;
    opened?.stop();
    supersede(undefined);
    room();
    wake();
  }

  async function* results(): AsyncGenerator<StreamResult, void, undefined> {
    scope = openScope([closing, options.signal, leaving.signal]);
    scope.signal.addEventListener(
      'abort',
      () => {
        stop();
        for (const { leave } of slots) leave.abort(scope.signal.reason);
      },
      { once: true },
    );
    if (!scope.signal.aborted) pump();
    else stop();
    let delivered = -1;
    try {
      while (!over) {
        const next = changed();
        const slot = take();
        if (!slot) {
          if (sourceEnd && slots.length === 0 && !waiting) break;
          await next;
          continue;
        }
        const { frame, settled, repeated } = slot;
        if ('result' in settled!) {
          yield { ...settled.result, frame, dropped: frame - delivered - 1, repeated };
          delivered = frame;
        } else failed(settled!.error, frame, repeated);
      }
      scope.signal.throwIfAborted();
      if (!over && sourceEnd && 'error' in sourceEnd) throw sourceEnd.error;
    } finally {
      stop();
      leaving.abort(); // the tail need not finish what nobody takes
      scope.end();
    }
  }

  function failed(error: unknown, frame: number, repeated: boolean): void {
    scope.signal.throwIfAborted();
    breathe = true;
    if (error instanceof IsthmusError && ENDING.has(error.code)) throw error;
    if (!repeated) onError?.(error, frame);
  }

  return stoppable(results(), stop);
}

/** @throws OPTION_INVALID */
function checkOptions(maxInFlight: number, alike: number | undefined): void {
  const wrong = (what: string) => new IsthmusError('OPTION_INVALID', what);
  if (!(Number.isInteger(maxInFlight) && maxInFlight >= 1))
    throw wrong(`maxInFlight is a whole number of frames from 1 on, not ${maxInFlight}.`);
  if (alike !== undefined && !(alike >= 0 && alike <= 1))
    throw wrong(`similarity lies in 0…1, where 1 is the same picture, not ${alike}.`);
}

const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** A generator takes `return` only between two answers; this one also while an answer is waited for. */
function stoppable<T>(
  inner: AsyncGenerator<T, void, undefined>,
  stop: () => void,
): AsyncGenerator<T, void, undefined> {
  const outer: AsyncGenerator<T, void, undefined> = {
    next: () => inner.next(),
    return(value) {
      stop();
      return inner.return(value);
    },
    throw(error) {
      stop();
      return inner.throw(error);
    },
    [Symbol.asyncIterator]: () => outer,
    async [asyncDispose]() {
      await outer.return();
    },
  };
  return outer;
}

const macrotask = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
