// A live session whose tail loads another version of the model: a real tail that reloads its folder, real segments on both
// sides, and weights of which every one differs, so that a run of half the one and half the other would show.
import { writeFile } from 'node:fs/promises';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { tcpProxy } from '../../e2e/faults/tcpProxy.ts';
import { connect } from '../index.node.ts';
import { partition } from '../model/index.ts';
import { type Manifest, modelTag } from '../model/manifest.ts';
import { readOnnx, writeOnnx } from '../model/onnx.ts';
import type { Result } from './resultTypes.ts';
import { otherCache, servedTiny } from './served.fixture.ts';
import type { ConnectOptions, Session } from './types.ts';

interface Version {
  manifest: Manifest;
  /** What it answers for the photo. */
  logits: number[];
  label: string;
}

const { model, tail, address, photo } = await servedTiny({ modelGraceMs: 0 });
let old: Version;
let next: Version;
let noCut: Manifest;

beforeAll(async () => {
  old = await known(model.manifest);
  const retrained = readOnnx(model.whole);
  for (const { rawData } of retrained.graph.initializer) {
    const weights = new Float32Array(rawData!.slice().buffer);
    rawData!.set(new Uint8Array(weights.map((x) => -1.5 * x).buffer));
  }
  next = await known(await written(writeOnnx(retrained), ['r1', 'p'], ['ape', 'bat', 'cow', 'doe', 'eel']));
  noCut = await written(writeOnnx(retrained), ['p'], ['ape', 'bat', 'cow', 'doe', 'eel']);
  expect(Math.max(...old.logits.map((x, i) => Math.abs(x - next.logits[i]!)))).toBeGreaterThan(0.1);
});
beforeEach(() => serve(old.manifest));

/** Its files lie beside the others' in the folder; the manifest says which ones count. */
async function written(whole: Uint8Array, cuts: string[], labels: string[]): Promise<Manifest> {
  const { manifest, files } = await partition(whole, { name: 'tiny', cuts, preprocess: 'symmetric', labels });
  for (const segment of manifest.segments) {
    const name = `${manifest.id.slice(0, 8)}-${segment.file}`;
    await writeFile(model.path(name), files.get(segment.file)!);
    segment.file = name;
  }
  return manifest;
}

async function serve(manifest: Manifest): Promise<void> {
  await writeFile(model.path('manifest.json'), JSON.stringify(manifest));
  await tail.reload();
}

async function known(manifest: Manifest): Promise<Version> {
  await serve(manifest);
  await using session = await open({ mode: 'only-local' });
  const { outputs, labels } = await session.run(photo);
  return { manifest, logits: values({ outputs }), label: labels![0]!.label };
}

const open = (options: ConnectOptions = {}) => connect(address, { codec: 'raw', cut: 'r1', ...options });
const values = ({ outputs }: Pick<Result, 'outputs'>) => Array.from(outputs.logits!.data as Float32Array);

/** An answer is wholly that of the version which its report names. */
function whole(result: Result): Version {
  const { id } = result.report.model;
  const version = [old, next].find(({ manifest }) => manifest.id === id)!;
  for (const [i, x] of values(result).entries()) expect(x).toBeCloseTo(version.logits[i]!, 2); // JPEG costs 1e-4
  expect(result.labels![0]!.label).toBe(version.label);
  return version;
}

async function until(session: Session, version: Version, mode?: ConnectOptions['mode']): Promise<Result[]> {
  const seen: Result[] = [];
  const last = async () => {
    const result = await session.run(photo, mode ? { mode } : {});
    whole(result);
    seen.push(result);
    return result.report;
  };
  await expect
    .poll(last, { timeout: 12_000, interval: 20 })
    .toMatchObject({ ran: 'split', model: { id: version.manifest.id } });
  return seen;
}

test('prefer-split answers here while the new version is fetched, then goes over between two runs', async () => {
  const told: [string, string][] = [];
  const onModelChange = (now: Manifest, before: Manifest) => void told.push([now.id, before.id]);
  await using session = await open({ standby: true, plan: 'measured', codec: 'raw', onModelChange });
  await session.run(photo, { mode: 'only-local' });
  expect(whole(await session.run(photo))).toBe(old);
  await serve(next.manifest);
  const first = await session.run(photo);
  expect(whole(first)).toBe(old);
  expect(first.report).toMatchObject({
    ran: 'local',
    degraded: expect.stringMatching(/^MODEL_MISMATCH: /),
  });
  for (const { manifest } of [old, next]) expect(first.report.degraded).toContain(modelTag(manifest));
  const seen = await until(session, next);
  expect(seen.at(-1)!.report.degraded).toBeUndefined();
  expect(session.manifest.id).toBe(next.manifest.id);
  expect(told).toEqual([[next.manifest.id, old.manifest.id]]);
  // What was here of the old one is here of the new one: it answers without its tail.
  expect(whole(await session.run(photo, { mode: 'only-local' }))).toBe(next);
});

test('runs that are under way during the change are each answered once, wholly by one version', async () => {
  await using session = await open({ standby: true });
  await session.run(photo, { mode: 'only-local' });
  const versions: Version[] = [];
  const crowd = Array.from({ length: 4 }, async (_, n) => {
    for (let i = 0; i < 200 && versions.filter((v) => v === next).length < 20; i++)
      versions.push(whole(await session.run(photo, n === 3 ? { mode: 'prefer-remote' } : {})));
  });
  await expect.poll(() => versions.length).toBeGreaterThan(8);
  await serve(next.manifest);
  await Promise.all(crowd);
  expect(versions).toContain(old);
  expect(versions.filter((v) => v === next).length).toBeGreaterThanOrEqual(20);
});

test('only-split asks once more with the new version, and its stream goes on', async () => {
  await using session = await open({ mode: 'only-split' });
  expect(whole(await session.run(photo))).toBe(old);
  async function* frames() {
    for (let i = 0; i < 6; i++) {
      if (i === 2) await serve(next.manifest);
      yield photo;
    }
  }
  const seen: Version[] = [];
  for await (const result of session.stream(frames(), { maxInFlight: 1 })) seen.push(whole(result));
  expect(seen).toHaveLength(6);
  expect([seen[0], seen.at(-1)]).toEqual([old, next]);
  const { report } = await session.run(photo);
  expect(report).toMatchObject({ ran: 'split', model: { id: next.manifest.id } });
  expect(report.degraded).toBeUndefined();
});

test('a tail that goes back and forth costs one change, and then named refusals or local answers', async () => {
  let changes = 0;
  await using session = await open({ standby: true, onModelChange: () => void changes++ });
  await session.run(photo, { mode: 'only-local' });
  await serve(next.manifest);
  await until(session, next);
  await session.run(photo, { mode: 'only-local' });
  for (const version of [old, next, old]) {
    await serve(version.manifest);
    const results = await Promise.all(Array.from({ length: 5 }, () => session.run(photo)));
    for (const result of results) {
      expect(whole(result)).toBe(next);
      expect(result.report.ran).toBe(version === next ? 'split' : 'local');
    }
  }
  await expect(session.run(photo, { mode: 'only-split' })).rejects.toMatchObject({ code: 'MODEL_MISMATCH' });
  expect(changes).toBe(1);
});

test('a version that the options of the session do not suit is named, not taken', async () => {
  let changes = 0;
  await using session = await open({ mode: 'only-split', onModelChange: () => void changes++ });
  await serve(noCut); // it has no cut r1
  await expect(session.run(photo)).rejects.toMatchObject({
    code: 'MODEL_MISMATCH',
    message: expect.stringContaining(modelTag(noCut)),
  });
  expect(changes).toBe(0);
  expect(session.manifest.id).toBe(old.manifest.id);
  await serve(old.manifest);
  expect(whole(await session.run(photo))).toBe(old);
});

test('a new version that cannot be fetched changes nothing; deadline, abort and close end the waiting', async () => {
  await using link = await tcpProxy(tail.port);
  using _fresh = await otherCache(); // so that its segments are not here yet
  const slow = `http://127.0.0.1:${link.port}/models/tiny`;
  const options = { mode: 'only-split', codec: 'raw', cut: 'r1', transport: 'fetch' } as const;
  const stuck = () => link.set({ bytesPerSecond: 1000 });
  for (const end of ['deadline', 'abort', 'close'] as const) {
    await serve(old.manifest);
    const session = await connect(slow, options);
    await session.run(photo);
    await serve(next.manifest);
    stuck();
    const reason = new Error('not any more');
    const controller = new AbortController();
    const running = session.run(photo, {
      signal: controller.signal,
      ...(end === 'deadline' && { deadlineMs: 600 }),
    });
    setTimeout(() => {
      if (end === 'abort') controller.abort(reason);
      if (end === 'close') void session.close();
    }, 600);
    const thrown = { deadline: { code: 'DEADLINE_EXCEEDED' }, abort: reason, close: { code: 'CLOSED' } };
    await expect(running).rejects.toMatchObject(thrown[end]);
    expect(session.manifest.id).toBe(old.manifest.id);
    await session.close();
    link.set({ bytesPerSecond: 0 });
    link.cut();
  }
});
