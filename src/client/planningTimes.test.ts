// What the planner measured of a device outlives the session, on the real disk: the next session with this adapter knows it, one with
// another adapter begins anew, and so does one whose adapter changes on the way.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import { connect } from '../index.node.ts';
import { cacheFolder, servedTiny } from './served.fixture.ts';
import type { Session } from './types.ts';

const { address, photo } = await servedTiny();

/** Milliseconds of the whole model on the slow device; a guess without measurement is far below one. */
const SLOW_MS = 250;

/** @param ms that the whole model takes longer here */
function deviceCalled(adapter: () => string, ms = 0): HeadRuntime {
  const runtime = nodeRuntime();
  return {
    ...runtime,
    get device() {
      return { ...runtime.device, adapter: adapter() };
    },
    async local(...args) {
      const result = await runtime.local(...args);
      await new Promise((resolve) => setTimeout(resolve, ms));
      return { ...result, timings: { ...result.timings, head: (result.timings.head ?? 0) + ms } };
    },
  };
}

const open = (runtime: HeadRuntime) => connect(address, { mode: 'auto', transport: 'fetch', runtime });

/** What the disk knows: milliseconds by stage, of every adapter. */
async function keptTimes(): Promise<Record<string, number>[]> {
  const names = await readdir(cacheFolder()).catch(() => []); // not made yet
  const files = names.filter((name) => /^times-[0-9a-f]{64}\.json$/.test(name));
  return Promise.all(
    files.map(async (name) => JSON.parse(await readFile(join(cacheFolder(), name), 'utf8'))),
  );
}

/** What the session expects of the whole model here. No run measures it that is long: the first want the tail, the last has a limit. */
async function expectedHere(session: Session): Promise<number> {
  for (let i = 0; i < 2; i++) await session.run(photo, { keep: true }); // meanwhile the disk is read
  await session.run(photo, { limits: { maxDeviceMs: SLOW_MS / 2 } });
  return session.plan!.alternatives.find(({ plan }) => plan === 'local')!.predictedMs;
}

test('times are kept, known to the next session, and belong to one adapter', async () => {
  {
    await using session = await open(deviceCalled(() => 'a slow one', SLOW_MS));
    await expect
      .poll(
        async () => {
          await session.run(photo);
          return Object.values((await keptTimes())[0] ?? {}).some((ms) => ms >= SLOW_MS);
        },
        { timeout: 20_000, interval: 0 },
      )
      .toBe(true);
  }
  const kept = await keptTimes();
  expect(kept).toHaveLength(1);

  let adapter = 'a slow one';
  await using again = await open(deviceCalled(() => adapter));
  expect(await expectedHere(again)).toBeGreaterThanOrEqual(SLOW_MS);
  // Its device is lost, and the next one is another.
  adapter = 'another one';
  expect(await expectedHere(again)).toBeLessThan(SLOW_MS / 2);

  await using other = await open(deviceCalled(() => 'a third one'));
  expect(await expectedHere(other)).toBeLessThan(SLOW_MS / 2);
});

test('a session of a few answers keeps its times when it is closed', async () => {
  const before = (await keptTimes()).length;
  {
    await using session = await open(deviceCalled(() => 'one that is used for a moment'));
    for (let i = 0; i < 3; i++) await session.run(photo);
    expect(await keptTimes()).toHaveLength(before);
  }
  expect(await keptTimes()).toHaveLength(before + 1);
});
