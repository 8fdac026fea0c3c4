// Sessions in Node against the real tail: the three plans, their reports, and fallbacks (sessionEnd.test.ts: ends).
import * as ort from 'onnxruntime-node';
import { beforeAll, expect, test } from 'vitest';
import { IsthmusError } from '../errors.ts';
import { decodeImage } from '../head/node/nodeImage.ts';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import { preprocessImage } from '../image/preprocess.ts';
import { connect } from '../index.node.ts';
import { closedPort } from '../transport/localServer.fixture.ts';
import type { Result } from './resultTypes.ts';
import { servedTiny } from './served.fixture.ts';
import { drawnPicture } from './tinyModel.fixture.ts';
import type { Mode } from './types.ts';

const { model, startTail, address, photo } = await servedTiny();
let truth: Float32Array;

beforeAll(async () => {
  const tensor = preprocessImage(await decodeImage(photo), model.manifest.preprocess!);
  const whole = await ort.InferenceSession.create(model.whole);
  const feeds = { x: new ort.Tensor('float32', tensor.data as Float32Array, tensor.shape as number[]) };
  truth = (await whole.run(feeds)).logits!.data as Float32Array;
});

const logits = (result: Result) => result.outputs.logits!.data as Float32Array;
const difference = (a: Float32Array, b: Float32Array) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

/** The real runtime with one method replaced. */
function faulty(change: Partial<HeadRuntime>): HeadRuntime {
  return { ...nodeRuntime(), ...change };
}
const fails =
  (code: 'DEVICE_LOST' | 'DOWNLOAD_FAILED' | 'INFERENCE_FAILED' | 'WORKER_FAILED') => async () => {
    throw new IsthmusError(code, `A made-up ${code}.`);
  };

test('split without loss, and local, equal the whole model', async () => {
  await using session = await connect(address);
  for (const cut of ['r1', 'p', 0, 1, '1']) {
    const result = await session.run(photo, { mode: 'only-split', cut, codec: 'raw' });
    expect(difference(logits(result), truth), `cut ${cut}`).toBeLessThan(1e-5);
  }
  const local = await session.run(photo, { mode: 'only-local' });
  expect(difference(logits(local), truth)).toBeLessThan(1e-5);
  const pixels = await decodeImage(photo);
  expect(difference(logits(await session.run(pixels, { mode: 'only-local' })), truth)).toBeLessThan(1e-5);
});

test('remote: the picture travels as JPEG or WebP, tensors as they are', async () => {
  const tensor = preprocessImage(await decodeImage(photo), model.manifest.preprocess!);
  for (const format of ['jpeg', 'webp'] as const) {
    await using session = await connect(address, { mode: 'only-remote', upload: { format, quality: 1 } });
    const result = await session.run(photo);
    expect(result.report).toMatchObject({ ran: 'remote', bytes: { up: expect.any(Number) } });
    expect(difference(logits(result), truth), format).toBeLessThan(0.05);
    const exact = await session.run({ x: tensor });
    expect(difference(logits(exact), truth)).toBeLessThan(1e-5);
  }
});

test('a device that could not fetch a segment anew is loaded again, with the token of the day', async () => {
  const runtime = nodeRuntime();
  const tokens: (string | undefined)[] = [];
  let expired = false;
  let day = 0;
  await using session = await connect(address, {
    mode: 'only-split',
    token: () => `day-${day}`,
    runtime: {
      ...runtime,
      load: (options, ...rest) => {
        tokens.push(options.token);
        return runtime.load(options, ...rest);
      },
      head: (...args) => (expired ? fails('DOWNLOAD_FAILED')() : runtime.head(...args)),
    },
  });
  day = 1;
  await session.run(photo);
  expired = true; // the thread was replaced, and the token that it was loaded with is worth nothing any more
  await expect(session.run(photo)).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
  expired = false;
  expect((await session.run(photo)).report.ran).toBe('split');
  expect(tokens).toEqual(['day-0', 'day-1']);
});

test('the report says what happened and only that', async () => {
  await using session = await connect(address, { codec: 'slicer' });
  const { report, labels } = await session.run(photo);
  expect(report).toMatchObject({
    ran: 'split',
    preset: 'slicer',
    model: { name: 'tiny', id: model.manifest.id },
    device: { kind: 'node' },
  });
  expect(report.degraded).toBeUndefined();
  const cut = session.manifest.cuts.find((c) => c.name === report.cut)!;
  expect(report.bytes.raw).toBe(cut.rawBytes);
  expect(report.bytes.up).toBeLessThan(cut.rawBytes);
  expect(report.bytes.down).toBeGreaterThan(20);
  const { total, ...stages } = report.ms;
  const names = ['preprocess', 'head', 'encode', 'uplink', 'decode', 'queue', 'tail', 'downlink'];
  expect(Object.keys(stages)).toEqual(names);
  expect(Object.values(stages).reduce((a, b) => a + b)).toBeLessThanOrEqual(total + 1);
  expect(labels).toHaveLength(5);
  expect(labels!.reduce((sum, l) => sum + l.score, 0)).toBeCloseTo(1, 6);

  const local = (await session.run(photo, { mode: 'only-local' })).report;
  expect(local).toMatchObject({ ran: 'local', bytes: { up: 0, down: 0 } });
  expect(Object.keys(local.ms)).toEqual(['preprocess', 'head', 'total']);
  expect('cut' in local || 'preset' in local).toBe(false);
});

test('rivals are what the other ways would send', async () => {
  await using session = await connect(address, { cut: 'p' });
  const file = await drawnPicture('jpeg', 400, 300);
  const rivals = await session.rivals(new Blob([file as Uint8Array<ArrayBuffer>]));
  const { report } = await session.run(file, { mode: 'only-remote' });
  expect(rivals.rawFloat32).toBe(model.manifest.cuts[1]!.rawBytes);
  expect(rivals.jpeg).toBe(report.bytes.up);
  expect(rivals.webp).toBeGreaterThan(60);
  expect(rivals.gzipFp16).toBeLessThan(rivals.rawFloat32);
  expect(rivals.original).toBe(file.byteLength);
  const tensor = preprocessImage(await decodeImage(photo), model.manifest.preprocess!);
  await expect(session.rivals({ x: tensor })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});

test('mistakes are thrown in every mode and name themselves; the session goes on', async () => {
  await using session = await connect(address);
  const wrongShape = { x: { dtype: 'float32' as const, shape: [1, 3, 4, 4], data: new Float32Array(48) } };
  for (const [input, options, code] of [
    [Uint8Array.of(1, 2, 3), {}, 'IMAGE_INVALID'],
    [photo.slice(0, 200), {}, 'IMAGE_INVALID'],
    [wrongShape, {}, 'INPUT_INVALID'],
    [wrongShape, { mode: 'prefer-remote' }, 'INPUT_INVALID'],
    [photo, { cut: 'nowhere' }, 'CUT_INVALID'],
    [photo, { cut: 7 }, 'CUT_INVALID'],
    [photo, { codec: 'zip' as 'raw' }, 'CODEC_INVALID'],
    [photo, { mode: 'sideways' as Mode }, 'OPTION_INVALID'],
    [photo, { deadlineMs: -5 }, 'OPTION_INVALID'],
  ] as const) {
    await expect(session.run(input, options), code).rejects.toMatchObject({ name: 'IsthmusError', code });
  }
  expect((await session.run(photo)).report.ran).toBe('split');
});

test('ten runs at once give the answers of ten runs in a row', async () => {
  await using session = await connect(address, { codec: 'raw' });
  const photos = await Promise.all(
    Array.from({ length: 10 }, (_, i) => drawnPicture('png', 40 + 8 * i, 30 + 5 * i)),
  );
  const inARow: Float32Array[] = [];
  for (const p of photos) inARow.push(logits(await session.run(p)));
  const atOnce = await Promise.all(photos.map((p) => session.run(p)));
  for (const [i, result] of atOnce.entries()) {
    expect(result.report.ran).toBe('split');
    expect([...logits(result)]).toEqual([...inARow[i]!]);
  }
});

test('prefer-split goes home when the tail stops, and crosses again when it is back', async () => {
  const own = await startTail();
  await using session = await connect(`${own.url}/models/tiny`, { codec: 'raw' });
  expect((await session.run(photo)).report.ran).toBe('split');
  await session.run(photo, { mode: 'only-local' }); // the later segments are here now
  await own.close();
  const offline = await session.run(photo);
  expect(offline.report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^OFFLINE: /) });
  expect(difference(logits(offline), truth)).toBeLessThan(1e-5);
  await expect(session.run(photo, { mode: 'only-split' })).rejects.toMatchObject({ code: 'OFFLINE' });
  await expect(session.run(photo, { mode: 'only-remote' })).rejects.toMatchObject({ code: 'OFFLINE' });
  const remote = await session.run(photo, { mode: 'prefer-remote' });
  expect(remote.report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^OFFLINE: /) });
  await startTail({ port: own.port });
  expect((await session.run(photo)).report).toMatchObject({ ran: 'split' });
});

test('prefer-split takes later segments from the cache when the tail is gone', async () => {
  const warm = await connect(address, { mode: 'only-local' });
  await warm.close();
  const own = await startTail();
  await using session = await connect(`${own.url}/models/tiny`);
  await own.close();
  expect((await session.run(photo)).report).toMatchObject({
    ran: 'local',
    degraded: expect.stringMatching(/^OFFLINE/),
  });
});

test('a device that fails sends the picture away, or throws under only-*', async () => {
  const runtime = faulty({ head: fails('DEVICE_LOST'), local: fails('INFERENCE_FAILED') });
  await using session = await connect(address, { runtime });
  expect((await session.run(photo)).report).toMatchObject({
    ran: 'remote',
    degraded: expect.stringMatching(/^DEVICE_LOST: A made-up/),
  });
  await expect(session.run(photo, { mode: 'only-split' })).rejects.toMatchObject({ code: 'DEVICE_LOST' });
  await expect(session.run(photo, { mode: 'only-local' })).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
  });
  const preferLocal = await session.run(photo, { mode: 'prefer-local' });
  expect(preferLocal.report).toMatchObject({
    ran: 'remote',
    degraded: expect.stringMatching(/^INFERENCE_FAILED/),
  });
});

test('prefer-local splits when only the whole model fails here', async () => {
  await using session = await connect(address, {
    mode: 'prefer-local',
    runtime: faulty({ local: fails('INFERENCE_FAILED') }),
  });
  expect((await session.run(photo)).report).toMatchObject({
    ran: 'split',
    degraded: expect.stringMatching(/^INFERENCE_FAILED/),
  });
});

test('a closed port is OFFLINE at connect', async () => {
  const url = await closedPort();
  await expect(connect(`${url}/models/tiny`)).rejects.toMatchObject({ code: 'OFFLINE' });
});
