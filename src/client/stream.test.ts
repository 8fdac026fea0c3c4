// Streams in Node against the real tail over a link of 60 ms each way: faster than one at a time, in order, bounded, fresh.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HEALTHY } from '../../e2e/faults/link.ts';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import { connect } from '../index.node.ts';
import type { TailBackend } from '../tail/run/backend.ts';
import { linkTo, servedTiny } from './served.fixture.ts';
import type { StreamResult, StreamSource } from './streamTypes.ts';
import type { Input, Session } from './types.ts';

const { tail, startTail } = await servedTiny();
const { proxy, address } = await linkTo(tail);
let session: Session;
/** Heads that ran. */
const heads = { all: 0 };

beforeAll(async () => {
  const runtime = nodeRuntime();
  const counting: HeadRuntime = {
    ...runtime,
    head(...args) {
      heads.all++;
      return runtime.head(...args);
    },
  };
  session = await connect(address, {
    ...{ mode: 'only-split', cut: 'r1', codec: 'raw', transport: 'websocket', runtime: counting },
  });
  await session.run(pixels(0)); // the link is open
  proxy.set({ latencyMs: 60 });
});
afterAll(async () => {
  proxy.set(HEALTHY);
  await session?.close();
});

/** A picture whose answer tells its number apart. */
function pixels(seed: number, width = 24, height = 20): Exclude<Input, string> {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < data.length; i++) data[i] = (i * (seed + 3) + 40 * seed) & 255;
  return { width, height, data };
}
const logits = ({ outputs }: Pick<StreamResult, 'outputs'>) =>
  Array.from(outputs.logits!.data as Float32Array);
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
/** Counts what a stream pulled and whether it let go of its source. */
function numbered(count: number, everyMs = 0) {
  const source = { pulled: 0, ended: false, madeAt: [] as number[] };
  async function* frames(): AsyncGenerator<Input> {
    try {
      while (source.pulled < count) {
        if (everyMs) await pause(everyMs);
        source.madeAt.push(performance.now());
        yield pixels(source.pulled++);
      }
    } finally {
      source.ended = true;
    }
  }
  return { source, frames: frames() };
}
async function collect(source: StreamSource, options?: Parameters<Session['stream']>[1]) {
  const results: StreamResult[] = [];
  for await (const result of session.stream(source, options)) results.push(result);
  return results;
}

test('a stream is more than 1.5 times as fast as one run after the other, and answers the same in the same order', async () => {
  const inARow: number[][] = [];
  const began = performance.now();
  for (let i = 0; i < 12; i++) inARow.push(logits(await session.run(pixels(i))));
  const one = performance.now() - began;
  const { frames, source } = numbered(12);
  const again = performance.now();
  const results = await collect(frames);
  const streamed = performance.now() - again;
  console.log(
    `12 frames over 120 ms there and back: one at a time ${(12000 / one).toFixed(1)}/s, streamed ${(12000 / streamed).toFixed(1)}/s (${(one / streamed).toFixed(2)}×)`,
  );
  expect(one / streamed).toBeGreaterThan(1.5);
  expect(results.map((r) => r.frame)).toEqual(Array.from({ length: 12 }, (_, i) => i));
  expect(results.map(logits)).toEqual(inARow);
  expect(results.every((r) => !r.repeated && r.dropped === 0)).toBe(true);
  expect(source.ended).toBe(true);
});

test('a slow consumer stops the source, and never more than maxInFlight are under way', async () => {
  const { frames, source } = numbered(1000);
  let seen = 0;
  for await (const { frame } of session.stream(frames, { maxInFlight: 2 })) {
    expect(frame).toBe(seen++);
    await pause(200);
    // What was delivered, what is being run or waits for us.
    expect(source.pulled).toBeLessThanOrEqual(seen + 2);
    if (seen === 4) break;
  }
  expect(source.pulled).toBeLessThanOrEqual(6);
  await expect.poll(() => source.ended).toBe(true);
});

test('latestOnly: a camera faster than the link, a consumer slower than both; answers stay fresh', async () => {
  const { frames, source } = numbered(10_000, 5);
  const ages: number[] = [];
  let dropped = 0;
  let last = -1;
  const before = heads.all;
  for await (const result of session.stream(frames, { latestOnly: true, maxInFlight: 2 })) {
    expect(result.frame).toBeGreaterThan(last);
    expect(result.frame - last - 1).toBe(result.dropped);
    last = result.frame;
    dropped += result.dropped;
    ages.push(performance.now() - source.madeAt[result.frame]!);
    if (ages.length >= 8) break;
    await pause(150);
  }
  await expect.poll(() => source.ended).toBe(true);
  expect(dropped).toBeGreaterThan(20);
  expect(last).toBe(dropped + ages.length - 1);
  // A crossing takes 120 ms and the consumer 150; a queue would have grown by some 300 ms a second.
  expect(Math.max(...ages)).toBeLessThan(600);
  expect(heads.all - before).toBeLessThanOrEqual(2 * ages.length + 4);
});

test('a source that always has a frame leaves the page its time under latestOnly', async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  let made = 0;
  function* endless(): Generator<Input> {
    for (;;) yield pixels(made++ % 7);
  }
  let answers = 0;
  for await (const _ of session.stream(endless(), { latestOnly: true })) if (++answers === 3) break;
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(5);
});

test('frames like the last are not run; its answer comes again and says so', async () => {
  const still = pixels(1);
  const noisy = { ...(pixels(1) as { width: number; height: number; data: Uint8ClampedArray }) };
  noisy.data = noisy.data.map((x, i) => (i % 50 === 0 ? Math.min(255, x + 2) : x));
  const before = heads.all;
  const results = await collect([still, noisy, still, pixels(5), pixels(5)], { similarity: 0.99 });
  expect(results.map((r) => r.repeated)).toEqual([false, true, true, false, true]);
  expect(heads.all - before).toBe(2);
  expect(logits(results[2]!)).toEqual(logits(results[0]!));
  expect(logits(results[4]!)).toEqual(logits(results[3]!));
  expect(logits(results[3]!)).not.toEqual(logits(results[0]!));
});

test('a frame that fails is skipped and told of; mistakes in the options, the source and onError end the stream', async () => {
  const broken = Uint8Array.of(1, 2, 3);
  const told: [number, unknown][] = [];
  const results = await collect([pixels(0), broken, pixels(2)], {
    onError: (error, frame) => told.push([frame, error]),
  });
  expect(results.map((r) => [r.frame, r.dropped])).toEqual([
    [0, 0],
    [2, 1],
  ]);
  expect(told).toEqual([[1, expect.objectContaining({ code: 'IMAGE_INVALID' })]]);
  const rethrow = (error: unknown) => {
    throw error;
  };
  await expect(collect([broken, pixels(1)], { onError: rethrow })).rejects.toMatchObject({
    code: 'IMAGE_INVALID',
  });
  await expect(collect([pixels(0)], { cut: 'nowhere' })).rejects.toMatchObject({ code: 'CUT_INVALID' });
  expect(() => session.stream([], { maxInFlight: 0 })).toThrow(
    expect.objectContaining({ code: 'OPTION_INVALID' }),
  );
  expect(() => session.stream([], { similarity: 2 })).toThrow(
    expect.objectContaining({ code: 'OPTION_INVALID' }),
  );
  await expect(collect(broken as never)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  async function* failing(): AsyncGenerator<Input> {
    yield pixels(0);
    throw new Error('the camera was unplugged');
  }
  const seen: number[] = [];
  const stream = session.stream(failing());
  await expect(
    (async () => {
      for await (const { frame } of stream) seen.push(frame);
    })(),
  ).rejects.toThrow('the camera was unplugged');
  expect(seen).toEqual([0]); // what was under way is still delivered
  expect(await collect([])).toEqual([]);
});

test('abort, return and close end a stream that waits for its source', async () => {
  const silent: AsyncIterable<Input> = {
    [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
  };
  const controller = new AbortController();
  const aborted = session.stream(silent, { signal: controller.signal }).next();
  setTimeout(() => controller.abort(), 20);
  await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });

  const stream = session.stream(silent);
  const next = stream.next();
  await pause(10);
  await stream.return();
  expect(await next).toEqual({ done: true, value: undefined });

  await using own = await connect(address, { mode: 'only-remote' });
  const closed = expect(own.stream(silent).next()).rejects.toMatchObject({ code: 'CLOSED' });
  await pause(10);
  await own.close();
  await closed;
});

test('leaving a stream stops what is under way at the tail too', async () => {
  // A tail whose work ends only where it is told to.
  const works: AbortSignal[] = [];
  const backend: TailBackend = {
    infer: (_model, _first, _tensors, { signal }) =>
      new Promise((_, reject) => {
        works.push(signal!);
        signal!.addEventListener('abort', () => reject(signal!.reason));
      }),
    close: () => Promise.resolve(),
  };
  const busy = await startTail({ backend });
  await using own = await connect(`${busy.url}/models/tiny`, {
    ...{ mode: 'only-split', cut: 'r1', codec: 'raw', transport: 'websocket' },
  });
  const { frames, source } = numbered(100);
  const stream = own.stream(frames, { maxInFlight: 3 });
  const next = stream.next();
  await expect.poll(() => works.length, { timeout: 10_000 }).toBe(3);
  expect(works.map(({ aborted }) => aborted)).toEqual([false, false, false]);
  await stream.return();
  expect(await next).toEqual({ done: true, value: undefined });
  await expect.poll(() => works.map(({ aborted }) => aborted)).toEqual([true, true, true]);
  expect(source.pulled).toBe(3);
});
