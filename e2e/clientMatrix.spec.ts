// The rows of the fault matrix that a client meets, in real Chromium against the real tail: one that falls silent, that answers too
// late, that has another version; a model file and answers that are damaged. Links that are cut: clientFaults.spec.ts.
import { join } from 'node:path';
import { expect, type Page } from '@playwright/test';
import type { RunOptions } from '../src/client/types.ts';
import { partition } from '../src/model/index.ts';
import { writeModelFolder } from '../src/model/node/modelFolder.ts';
import { readOnnx, writeOnnx } from '../src/model/onnx.ts';
import { tinyNet } from '../src/model/testGraphs.fixture.ts';
import { type Globals, openHarmable, run, same, start, test } from './clientPage.ts';
import { HEALTHY } from './faults/link.ts';
import { openPage, type Tail } from './fixtures.ts';

test.beforeEach(({ page, pages }) => openHarmable(page, pages));
test.afterEach(({ link }) => link.set(HEALTHY));

/** The tail's process stands still meanwhile: connections stay open, and nobody answers. */
async function silent(tail: Tail, during: () => Promise<void>): Promise<void> {
  tail.process.kill('SIGSTOP');
  try {
    await during();
  } finally {
    tail.process.kill('SIGCONT');
  }
}

/** Requests that the tail is through with, by how they ended. */
async function ended(tail: Tail, code: 'ok' | 'ABORTED'): Promise<number> {
  const text = await (await fetch(`${tail.url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => /^isthmus_requests_total\{/.test(line));
  const counts = lines
    .filter((line) => line.includes(`code="${code}"`))
    .map((line) => Number(line.split(' ').at(-1)));
  return counts.reduce((a, b) => a + b, 0);
}

interface Asked {
  /** The answer, or what it was rejected with: code or name. */
  outcome: number[] | string;
  /** Milliseconds from the call, or from the abort. */
  ms: number;
}

/** Runs inputs that are so many shares of the largest, all at once. @param abortMs when all of them are given up */
function askAll(page: Page, shares: number[], options: RunOptions, abortMs?: number): Promise<Asked[]> {
  return page.evaluate(
    ([given, choice, wait]) => {
      const g = globalThis as unknown as Globals & { told?: number[] };
      g.told ??= [];
      const { session, told } = g;
      const { name, shape } = session.manifest.inputs[0]!;
      const dims = shape.map((d) => (typeof d === 'number' ? d : 1));
      const size = dims.reduce((a, b) => a * b);
      const leaving = new AbortController();
      let from = performance.now();
      if (wait !== undefined)
        setTimeout(() => {
          from = performance.now();
          leaving.abort();
        }, wait);
      return Promise.all(
        given.map(async (share) => {
          const data = Float32Array.from({ length: size }, (_, i) => share * Math.sin(0.37 * i));
          const asked = session.run(
            { [name]: { dtype: 'float32', shape: dims, data } },
            { ...choice, signal: leaving.signal, onTask: () => void told!.push(share) },
          );
          const outcome = await asked.then(
            ({ outputs }) => Array.from(Object.values(outputs)[0]!.data as Float32Array),
            (thrown: { code?: string | number; name: string }) =>
              typeof thrown.code === 'string' ? thrown.code : thrown.name,
          );
          return { outcome, ms: performance.now() - from };
        }),
      );
    },
    [shares, options, abortMs] as const,
  );
}

const distance = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

test('a tail that falls silent: hedged, in time, given up at once; what it says late is nobody’s answer', async ({
  page,
  link,
  tail,
}) => {
  await start(page, link, { transport: 'websocket' }, 'tiny');
  const right = await run(page, 0);
  await run(page, 0, 'none', 0, { mode: 'only-local' }); // all of the model is here
  for (let i = 0; i < 8; i++) await run(page, 0); // how long the tail takes is known
  const before = { ok: await ended(tail, 'ok'), aborted: await ended(tail, 'ABORTED') };
  await silent(tail, async () => {
    for (const options of [{}, { deadlineMs: 1500 }]) {
      const hedged = await run(page, 0, 'none', 0, options);
      same(hedged, right);
      expect(hedged.report).toMatchObject({ ran: 'local', degraded: expect.stringMatching(/^STALL: /) });
    }
    const [late] = await askAll(page, [1], { mode: 'only-split', deadlineMs: 400 });
    expect(late!.outcome).toBe('DEADLINE_EXCEEDED');
    const left = await askAll(page, Array(10).fill(1), { mode: 'only-split' }, 100);
    expect(left.map(({ outcome }) => outcome)).toEqual(Array(10).fill('AbortError'));
    const slowest = Math.max(...left.map(({ ms }) => ms));
    console.log(
      `silent tail: deadline of 400 ms told after ${late!.ms.toFixed(0)} ms, abort after ${slowest.toFixed(1)} ms`,
    );
    // Far above what it takes: other work shares the two cores.
    expect(late!.ms).toBeLessThan(3000);
    expect(slowest).toBeLessThan(2000);
  });
  // Awake again, it hears that nobody waits for any of the 13.
  await expect.poll(() => ended(tail, 'ABORTED')).toBe(before.aborted + 13);
  expect(await ended(tail, 'ok')).toBe(before.ok);

  // Answers that come after their deadline, while others are waited for over the same connection.
  const shares = Array.from({ length: 40 }, (_, i) => (i + 1) / 40);
  const here = await askAll(page, shares, { mode: 'only-local' });
  link.set({ latencyMs: 300 });
  const missed = await askAll(page, shares, { mode: 'only-split', tasks: ['main'], deadlineMs: 500 });
  expect(missed.map(({ outcome }) => outcome)).toEqual(Array(40).fill('DEADLINE_EXCEEDED'));
  const answers = await askAll(page, shares.toReversed(), { mode: 'only-split', tasks: ['main'] });
  const told = await page.evaluate(() => (globalThis as unknown as { told: number[] }).told);
  expect(told.sort((a, b) => a - b)).toEqual(shares); // each once, and none of those that were late
  const ok = (await ended(tail, 'ok')) - before.ok;
  console.log(`${ok - 40} of 40 answers came late; then 40 of 40 questions got their own`);
  expect(ok).toBeGreaterThan(40);
  for (const [i, { outcome }] of answers.toReversed().entries()) {
    const far = here.map((other) => distance(outcome as number[], other.outcome as number[]));
    expect(far.indexOf(Math.min(...far))).toBe(i);
    expect(far[i]! / Math.min(...far.filter((_, j) => j !== i))).toBeLessThan(0.1);
  }
});

test('another version is refused by name and answered here, then followed', async ({ page, link, tail }) => {
  const folder = join(tail.folder, 'moving');
  /** The tiny model with other weights: with the same it would be the same version, whatever its name. */
  const scaled = (factor: number) => {
    const model = readOnnx(tinyNet());
    for (const { rawData } of model.graph.initializer) {
      const weights = new Float32Array(rawData!.slice().buffer);
      rawData!.set(new Uint8Array(weights.map((x) => factor * x).buffer));
    }
    return partition(writeOnnx(model), { name: 'moving', cuts: ['r1', 'p'] });
  };
  const versions = [await scaled(0.9), await scaled(-1.5)] as const;
  const serve = async (version: (typeof versions)[number]) => {
    await writeModelFolder(folder, version);
    tail.process.kill('SIGHUP');
    const served = () => fetch(`${tail.url}/models/moving/manifest.json`).then((reply) => reply.text());
    await expect.poll(served).toContain(version.manifest.id);
  };
  const idHere = () => page.evaluate(() => (globalThis as unknown as Globals).session.manifest.id);

  await serve(versions[0]);
  await start(page, link, { transport: 'websocket' }, 'moving');
  const right = await run(page, 0);
  await run(page, 0, 'none', 0, { mode: 'only-local' });
  await serve(versions[1]);
  await expect // until the tail answers the old one no more
    .poll(async () => {
      const answer = await run(page, 0);
      if ((await idHere()) === versions[0].manifest.id) same(answer, right);
      return answer.report.degraded;
    })
    .toMatch(/^MODEL_MISMATCH: /);
  await expect.poll(idHere).toBe(versions[1].manifest.id);
  const followed = await run(page, 0);
  expect(followed.report).toEqual({ ran: 'split', device: 'wasm' });
  same(followed, await run(page, 0, 'none', 0, { mode: 'only-local' }));
  expect(distance(followed.logits, right.logits)).toBeGreaterThan(0.01);
});

/** Flips a bit of every segment that this browser keeps, or only looks. @returns whether each is what its name says */
function kept(page: Page, flip: boolean): Promise<boolean[]> {
  return page.evaluate(async (damage) => {
    const done = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const database = await done(indexedDB.open('isthmus-segments'));
    const store = (mode: IDBTransactionMode) =>
      database.transaction('isthmus-segments', mode).objectStore('isthmus-segments');
    const keys = (await done(store('readonly').getAllKeys())).map(String);
    const genuine: boolean[] = [];
    for (const key of keys.filter((name) => name.startsWith('segment/'))) {
      const bytes: Uint8Array<ArrayBuffer> = await done(store('readonly').get(key));
      if (damage) {
        bytes[bytes.length >> 1]! ^= 4;
        await done(store('readwrite').put(bytes, key));
      }
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
      genuine.push(key === `segment/${Array.from(hash, (x) => x.toString(16).padStart(2, '0')).join('')}`);
    }
    database.close();
    return genuine;
  }, flip);
}

test('a bit that flips in a kept model file or in an answer is never an answer', async ({
  page,
  link,
  pages,
}) => {
  await start(page, link, { mode: 'only-local' }, 'tiny');
  const right = await run(page, 0);
  await page.evaluate(() => (globalThis as unknown as Globals).session.close());
  await expect.poll(() => kept(page, false)).toEqual([true, true, true]);
  expect(await kept(page, true)).toEqual([false, false, false]);
  await openPage(page, pages);
  await start(page, link, { mode: 'only-local' }, 'tiny');
  same(await run(page, 0), right);
  await expect.poll(() => kept(page, false)).toEqual([true, true, true]); // fetched again

  const ends: string[] = [];
  for (const transport of ['fetch', 'websocket'] as const) {
    await page.evaluate(() => (globalThis as unknown as Globals).session.close());
    await start(page, link, { transport, mode: 'only-split' }, 'tiny');
    await run(page, 0);
    link.cut();
    const down = link.bytes.down;
    await run(page, 0);
    /** What a new connection carries until the answer is there; its payload comes last. */
    const whole = link.bytes.down - down;
    for (const fromEnd of [6, 10, 14, 18]) {
      const flipped = link.flipped;
      link.cut();
      link.flipAt(whole - fromEnd);
      const answer = await run(page, 0, 'none', 0, { deadlineMs: 10_000 }).catch(
        (thrown: Error) => thrown.message,
      );
      if (typeof answer === 'string') expect(answer).toMatch(/IsthmusError: .*(damaged|checksum|deadline)/);
      else same(answer, right);
      ends.push(typeof answer === 'string' ? answer : 'answered');
      expect(link.flipped, `${transport}, ${fromEnd} bytes before the end`).toBe(flipped + 1);
    }
  }
  console.log(
    `8 answers with a flipped bit: ${ends.filter((end) => end === 'answered').length} asked again and answered`,
  );
});
