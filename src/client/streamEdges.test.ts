// Streams at their edges: a run that hangs, sources that throw, stop themselves or yield nothing usable, frames that all fail. Runs
// are a real session's, held back where a test says so.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../index.node.ts';
import { servedTiny } from './served.fixture.ts';
import { streamOf } from './stream.ts';
import type { StreamOptions, StreamResult, StreamSource } from './streamTypes.ts';
import type { Input, RunOptions, Session } from './types.ts';

const { address } = await servedTiny();
let session: Session;
beforeAll(async () => {
  session = await connect(address, { mode: 'only-local' });
});
afterAll(() => session?.close());

const pixels = (seed: number, width = 16, height = 16) => ({
  ...{ width, height },
  data: new Uint8ClampedArray(4 * width * height).fill((40 * seed) & 255),
});
/** Fails before anything is computed. */
const NOTHING = null as unknown as Input;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A stream of the session whose runs pass through `held` first; it may hold them back for ever. */
function held(
  source: StreamSource,
  options: StreamOptions,
  hold: (nth: number, input: Input, signal: AbortSignal) => Promise<unknown> | undefined,
): AsyncGenerator<StreamResult, void, undefined> {
  let count = 0;
  const run = async (input: Input, given: RunOptions) => {
    const signal = given.signal!;
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    stopped.catch(() => undefined);
    await Promise.race([hold(count++, input, signal), stopped]);
    return session.run(input, given);
  };
  return streamOf(run, new AbortController().signal, source, options);
}

async function framesOf(stream: AsyncIterable<StreamResult>): Promise<number[]> {
  const frames: number[] = [];
  for await (const { frame } of stream) frames.push(frame);
  return frames;
}

test('latestOnly: an answer does not wait for an earlier frame that hangs; that one is stopped', async () => {
  let stopped: unknown;
  const errors: number[] = [];
  const stream = held(
    [pixels(0), pixels(1)],
    { latestOnly: true, onError: (_, frame) => errors.push(frame) },
    (nth, _, signal) => {
      if (nth > 0) return undefined;
      signal.addEventListener('abort', () => {
        stopped = signal.reason;
      });
      return new Promise(() => undefined);
    },
  );
  const { value } = await stream.next();
  expect(value).toMatchObject({ frame: 1, dropped: 1 });
  expect(stopped).toMatchObject({ name: 'AbortError' });
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  expect(errors).toEqual([]); // overtaken is not failed
});

test('latestOnly: a frame that failed is told of even where a later one is delivered in its place', async () => {
  const errors: number[] = [];
  const stream = held(
    [pixels(0), NOTHING, pixels(2)],
    { latestOnly: true, onError: (_, frame) => errors.push(frame) },
    (nth) => (nth === 0 ? pause(300) : undefined),
  );
  expect(await framesOf(stream)).toEqual([2]);
  expect(errors).toEqual([1]);
});

test('latestOnly with one at a time: what comes meanwhile waits for its turn, the newest only', async () => {
  async function* five(): AsyncGenerator<Input> {
    for (let i = 0; i < 5; i++) {
      yield pixels(i);
      await pause(10);
    }
  }
  const stream = held(five(), { latestOnly: true, maxInFlight: 1 }, (nth) =>
    nth === 0 ? pause(300) : undefined,
  );
  const results: StreamResult[] = [];
  for await (const result of stream) results.push(result);
  expect(results.map(({ frame, dropped }) => [frame, dropped])).toEqual([
    [0, 0],
    [4, 3],
  ]);
});

test('a frame that is nothing fails alone, with similarity too', async () => {
  const frames = [pixels(0), null, undefined, 'photo.jpg', pixels(4)] as Input[];
  for (const options of [{ similarity: 0.9 }, { similarity: 0.9, latestOnly: true, maxInFlight: 5 }]) {
    const codes: string[] = [];
    const onError = (error: unknown) => void codes.push((error as { code: string }).code);
    const seen = await framesOf(session.stream(frames, { ...options, onError }));
    expect(seen.at(-1)).toBe(4);
    expect(codes).toEqual(['INPUT_INVALID', 'INPUT_INVALID', 'INPUT_INVALID']);
  }
});

test('frames of another size are never taken for a repetition', async () => {
  const sizes = [pixels(1), pixels(1), pixels(1, 16, 20), pixels(1, 20, 16), pixels(1, 20, 16)];
  const repeated: boolean[] = [];
  for await (const result of session.stream(sizes, { similarity: 0.5 })) repeated.push(result.repeated);
  expect(repeated).toEqual([false, true, false, false, true]);
});

test('a source that stops its own stream, or throws as it is ended, harms nobody', async () => {
  const stop = new AbortController();
  let ended = 0;
  function* suicidal(): Generator<Input> {
    try {
      yield pixels(0);
      stop.abort(); // runs inside the stream's pull
      for (;;) yield pixels(1);
    } finally {
      ended++;
    }
  }
  const aborted = framesOf(session.stream(suicidal(), { signal: stop.signal }));
  await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
  await expect.poll(() => ended).toBe(1);

  function* bitter(): Generator<Input> {
    try {
      for (;;) yield pixels(0);
    } finally {
      ended++;
      // biome-ignore lint/correctness/noUnsafeFinally: a source may be that bad
      throw new Error('not with me');
    }
  }
  for await (const _ of session.stream(bitter())) break;
  await expect.poll(() => ended).toBe(2);
  await pause(20); // an unhandled rejection would fail this file
});

test('a source is ended once when it is left, and not at all when it came to its end', async () => {
  const source = (count: number) => {
    let [made, returned] = [0, 0];
    const iterator = {
      next: async () =>
        made < count
          ? { done: false as const, value: pixels(made++) }
          : { done: true as const, value: undefined },
      return: async () => ({ done: true as const, value: void returned++ }),
    };
    return { frames: { [Symbol.asyncIterator]: () => iterator }, returned: () => returned };
  };
  const whole = source(3);
  expect(await framesOf(session.stream(whole.frames))).toEqual([0, 1, 2]);
  expect(whole.returned()).toBe(0);
  const left = source(100);
  for await (const _ of session.stream(left.frames)) break;
  await pause(20);
  expect(left.returned()).toBe(1);
});

test('an endless source of frames that all fail leaves the page its time', async () => {
  function* endless(): Generator<Input> {
    for (;;) yield NOTHING;
  }
  for (const latestOnly of [false, true]) {
    const stop = new AbortController();
    let failures = 0;
    const timer = setTimeout(() => stop.abort(), 50);
    // Without a breath this would spin until it gives up, and the timer never fire.
    const onError = () => {
      if (++failures > 200_000) throw new Error('nobody else had a turn');
    };
    const spinning = framesOf(session.stream(endless(), { latestOnly, signal: stop.signal, onError }));
    await expect(spinning).rejects.toMatchObject({ name: 'AbortError' });
    clearTimeout(timer);
    expect(failures).toBeGreaterThan(0);
  }
});

test('what is no source says so; letters are no frames', async () => {
  for (const wrong of ['film.mp4', 7, null, new Uint8Array(4), {}]) {
    const stream = session.stream(wrong as unknown as StreamSource);
    await expect(stream.next(), String(wrong)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  }
});

test('a deadline that is none ends the stream; one beyond all days is none', async () => {
  for (const deadlineMs of [0, -1, Number.NaN]) {
    const stream = session.stream([pixels(0)], { deadlineMs });
    await expect(stream.next()).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  }
  await using remote = await connect(address, { mode: 'only-split', transport: 'fetch' });
  for (const deadlineMs of [Number.POSITIVE_INFINITY, 3e10]) {
    expect((await remote.run(pixels(0), { deadlineMs })).report.ran).toBe('split');
  }
});
