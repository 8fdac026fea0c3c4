// Early exits of sessions in Node, against the real tail over a link that can be silenced: who answers, what is told on the way, and
// what stands in when nobody else answers.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { HEALTHY } from '../../e2e/faults/link.ts';
import { IsthmusError } from '../errors.ts';
import { decodeImage } from '../head/node/nodeImage.ts';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import { preprocessImage } from '../image/preprocess.ts';
import { connect } from '../index.node.ts';
import { attachExit } from '../model/attachExit.ts';
import type { ExitInfo, Manifest } from '../model/manifest.ts';
import { runChain } from '../model/node/chain.ts';
import { nodeShapeProbe as probe } from '../model/probeNode.ts';
import { node, model as onnx, value, weight } from '../model/testGraphs.fixture.ts';
import { exitInstead, mayExit } from './exits.ts';
import type { Result } from './resultTypes.ts';
import { cacheFolder, linkTo, servedTiny } from './served.fixture.ts';
import type { ConnectOptions } from './types.ts';

const { model, tail, photo } = await servedTiny();
const { proxy, address } = await linkTo(tail);
/** What each exit and the whole model say, computed apart. */
const truth: Record<'early' | 'late' | 'whole', number[]> = { early: [], late: [], whole: [] };

const NEVER = { rule: 'confidence', value: 1.5, agreement: 1, coverage: 0 } as const;
const ALWAYS = { rule: 'margin', value: 0, agreement: 1, coverage: 1 } as const;

beforeAll(async () => {
  let { manifest } = model;
  for (const [name, cut, channels, side] of [
    ['early', 'r1', 4, 8],
    ['late', 'p', 6, 4],
  ] as const) {
    const file = onnx({
      nodes: [
        node('GlobalAveragePool', cut, 'g'),
        node('Flatten', 'g', 'f'),
        node('Gemm', 'f w b', 'logits', { transB: 1 }),
      ],
      inputs: [value(cut, ['N', channels, side, side])],
      outputs: [value('logits', ['N', 5])],
      weights: [weight('w', [5, channels]), weight('b', [5])],
    });
    const made = await attachExit(manifest, { name, cut, onnx: file, probe });
    manifest = made.manifest;
    for (const [path, bytes] of made.files) await writeFile(model.path(path), bytes);
  }
  await serve(manifest, NEVER, NEVER);
  const { data, shape } = preprocessImage(await decodeImage(photo), manifest.preprocess!);
  const ort = await import('onnxruntime-node');
  const feeds = { x: new ort.Tensor('float32', data as Float32Array, shape as number[]) };
  const paths = manifest.segments.map(({ file }) => model.path(file));
  const [early, late] = manifest.exits!.map(({ file }) => model.path(file));
  for (const [name, chain] of [
    ['early', [paths[0]!, early!]],
    ['late', [paths[0]!, paths[1]!, late!]],
    ['whole', paths],
  ] as const) {
    const files = await Promise.all(chain.map(async (path) => new Uint8Array(await readFile(path))));
    truth[name] = Array.from((await runChain(files, feeds)).logits!.data as Float32Array);
  }
});
afterEach(() => proxy.set(HEALTHY));

/** Writes the manifest with these thresholds; the running tail takes it over. */
async function serve(manifest: Manifest, ...thresholds: ExitInfo['threshold'][]): Promise<void> {
  const exits = manifest.exits!.map(({ threshold: _, ...exit }, i) => {
    const threshold = thresholds[i];
    return threshold ? { ...exit, threshold } : exit;
  });
  await writeFile(model.path('manifest.json'), JSON.stringify({ ...manifest, exits }));
  await tail.reload();
}
async function thresholds(...values: ExitInfo['threshold'][]): Promise<void> {
  await serve(JSON.parse(await readFile(model.path('manifest.json'), 'utf8')) as Manifest, ...values);
}

const open = (options: ConnectOptions = {}) =>
  connect(address, {
    ...{ cut: 'p', codec: 'raw', transport: 'fetch', offline: false },
    ...options,
  });

function expectAnswer({ outputs }: Result, of: keyof typeof truth): void {
  const found = Array.from(outputs.logits!.data as Float32Array);
  expect(Math.max(...found.map((x, i) => Math.abs(x - truth[of][i]!)))).toBeLessThan(1e-5);
}

test('a sure exit answers, and nothing crosses', async () => {
  await thresholds(ALWAYS, NEVER);
  await using session = await open();
  const before = proxy.bytes.up;
  const told: Result[] = [];
  const result = await session.run(photo, { onProvisional: (r) => void told.push(r) });
  expectAnswer(result, 'early');
  expect(result.labels).toHaveLength(5);
  expect(result.report).toMatchObject({ ran: 'exit', cut: 'r1', exit: { name: 'early', rule: 'margin' } });
  expect(result.report.exit!.value).toBeCloseTo(result.labels![0]!.score - result.labels![1]!.score, 5);
  expect(result.report).toMatchObject({ bytes: { up: 0, down: 0 }, ms: { head: expect.any(Number) } });
  expect(result.report.degraded).toBeUndefined();
  expect(told).toEqual([]);
  expect(proxy.bytes.up).toBe(before);
  // The cut lies before the second exit: that one is not asked.
  await thresholds(undefined, ALWAYS);
  await using other = await open();
  expect((await other.run(photo, { cut: 'r1' })).report.ran).toBe('split');
  expectAnswer(await other.run(photo), 'late');
});

test('unsure exits: the run goes on from where it was, and what they said is told on the way', async () => {
  await thresholds(NEVER, NEVER);
  await using session = await open();
  const order: string[] = [];
  const told: Result[] = [];
  const result = await session
    .run(photo, {
      onProvisional(provisional) {
        told.push(provisional);
        order.push(provisional.report.exit!.name);
      },
    })
    .finally(() => order.push('answer'));
  expect(order).toEqual(['early', 'late', 'answer']);
  expectAnswer(told[0]!, 'early');
  expectAnswer(told[1]!, 'late');
  expect(told[0]!.report).toMatchObject({ ran: 'exit', exit: { name: 'early', rule: 'confidence' } });
  expectAnswer(result, 'whole');
  expect(result.report).toMatchObject({ ran: 'split', cut: 'p', bytes: { raw: 384 } });
  expect(result.report.exit).toBeUndefined();
  const plain = await session.run(photo, { exits: 'off' });
  expect(plain.report.bytes).toMatchObject({ up: result.report.bytes.up, raw: 384 });
});

test('they are asked only where they may answer', async () => {
  await thresholds(ALWAYS, ALWAYS);
  await using session = await open();
  for (const options of [
    { exits: 'off' },
    { mode: 'only-split' },
    { tasks: ['main'] },
    { keep: true },
  ] as const) {
    const { report } = await session.run(photo, options);
    expect(report.ran, JSON.stringify(options)).toBe('split');
  }
  expect((await session.run(photo, { mode: 'prefer-local' })).report.ran).toBe('local');
  await expect(session.run(photo, { exits: 'on' as 'auto' })).rejects.toMatchObject({
    code: 'OPTION_INVALID',
  });
  await expect(open({ exits: 'on' as 'auto' })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  for (const mode of ['prefer-split', 'auto', 'prefer-local', 'only-split'] as const) {
    const fetched = mayExit(session.manifest, { mode });
    expect(fetched, mode).toBe(mode === 'prefer-split' || mode === 'auto');
  }
  // Without any calibrated exit nobody asks for them, unless the caller does.
  await thresholds(undefined, undefined);
  await using bare = await open();
  let told = 0;
  const onProvisional = () => void told++;
  expect((await bare.run(photo, { onProvisional })).report.ran).toBe('split');
  expect(told).toBe(0);
  expect((await bare.run(photo, { onProvisional, exits: 'auto' })).report.ran).toBe('split');
  expect(told).toBe(2);
});

test('past the deadline, and when nobody can be reached, the last exit answers and says why', async () => {
  await thresholds(NEVER, NEVER);
  // Nothing but what the mode needs is on this device: the whole model cannot run here.
  await rm(cacheFolder(), { recursive: true, force: true });
  await using session = await open();
  expect((await session.run(photo)).report.ran).toBe('split');
  proxy.set({ blackhole: true });
  const began = performance.now();
  const late = await session.run(photo, { deadlineMs: 1000 });
  expect(performance.now() - began).toBeLessThan(2000);
  expectAnswer(late, 'late');
  expect(late.report).toMatchObject({ ran: 'exit', exit: { name: 'late' }, bytes: { down: 0 } });
  expect(late.report.ms.head! + late.report.ms.preprocess!).toBeLessThanOrEqual(late.report.ms.total);
  expect(late.report.bytes.up).toBeGreaterThan(384);
  expect(late.report.degraded).toMatch(/^DEADLINE_EXCEEDED: /);
  await expect(session.run(photo, { deadlineMs: 1000, exits: 'off' })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
  // A caller who stops does not want another answer.
  const stop = new AbortController();
  const stopped = session.run(photo, { signal: stop.signal, onProvisional: () => stop.abort() });
  await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
  proxy.set({ ...HEALTHY, refuse: true });
  proxy.cut();
  const alone = await session.run(photo);
  expectAnswer(alone, 'late');
  expect(alone.report.degraded).toMatch(/^OFFLINE: /);
  expect(alone.report.bytes.up).toBe(0); // nothing took them
});

test('an exit that cannot be fetched is done without', async () => {
  const manifest = JSON.parse(await readFile(model.path('manifest.json'), 'utf8')) as Manifest;
  const [early, late] = manifest.exits!;
  const gone = { ...early!, threshold: ALWAYS, sha256: '0'.repeat(64) };
  const runtime = nodeRuntime();
  try {
    await runtime.load(
      { manifest: { ...manifest, exits: [gone, late!] }, artifacts: `${tail.url}/artifacts`, exits: true },
      1,
    );
    const codec = { family: 'raw' } as const;
    const input = { kind: 'file', bytes: photo } as const;
    const { answers, head } = await runtime.early!(input, { exits: [0, 1], cut: 1, codec });
    expect(answers.map(({ exit }) => exit)).toEqual([1]);
    expect(head!.frame).toEqual((await runtime.head(input, 1, codec)).frame);
  } finally {
    await runtime.close();
  }
});

test('an exit stands in for what failed, not for what was stopped', () => {
  const closed = new IsthmusError('CLOSED', 'The tail is stopping.');
  const going = new AbortController().signal;
  // A tail says CLOSED as it stops; the session itself is open.
  expect(exitInstead(closed, undefined, going)).toBe(closed);
  expect(exitInstead(closed, going, AbortSignal.abort())).toBeUndefined();
  expect(exitInstead(closed, AbortSignal.abort(), going)).toBeUndefined();
  expect(exitInstead(new Error('a defect'), going)).toBeUndefined();
});
