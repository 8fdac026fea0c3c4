// Every way to end a run early: deadline, abort in each state, close; against the real tail.
import { expect, test } from 'vitest';
import { nodeRuntime } from '../head/node/nodeRuntime.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import { connect } from '../index.node.ts';
import { servedTiny } from './served.fixture.ts';

const { address, photo } = await servedTiny();
const never = new Promise<never>(() => undefined);

/** The real runtime with one method replaced. */
function faulty(change: Partial<HeadRuntime>): HeadRuntime {
  return { ...nodeRuntime(), ...change };
}

test('the deadline holds even when the device never answers', async () => {
  await using session = await connect(address, { runtime: faulty({ head: () => never }) });
  const started = performance.now();
  await expect(session.run(photo, { deadlineMs: 80 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect(performance.now() - started).toBeLessThan(500);
  expect((await session.run(photo, { mode: 'only-local' })).report.ran).toBe('local');
});

test('abort ends a run within 50 ms in every state', async () => {
  const before = AbortSignal.abort();
  await using healthy = await connect(address);
  await expect(healthy.run(photo, { signal: before })).rejects.toMatchObject({ name: 'AbortError' });

  const states: [string, Partial<HeadRuntime>][] = [
    ['loading', { load: () => never }],
    ['head', { head: () => never }],
    ['local', { local: () => never }],
    ['remote', { remote: () => never }],
  ];
  for (const [state, change] of states) {
    let stuck = false;
    const runtime = faulty({});
    const waits = Object.fromEntries(
      Object.entries(change).map(([name, hang]) => [
        name,
        (...args: never[]) =>
          stuck
            ? (hang as () => Promise<never>)()
            : (runtime[name as 'load'] as (...a: never[]) => unknown)(...args),
      ]),
    );
    await using session = await connect(address, {
      mode: 'only-remote',
      runtime: { ...runtime, ...waits },
    });
    stuck = true;
    const mode = state === 'remote' ? 'only-remote' : state === 'local' ? 'only-local' : 'only-split';
    const controller = new AbortController();
    const running = session.run(photo, { mode, signal: controller.signal });
    let aborted = 0;
    setTimeout(() => {
      aborted = performance.now();
      controller.abort();
    }, 60);
    await expect(running, state).rejects.toMatchObject({ name: 'AbortError' });
    expect(performance.now() - aborted, state).toBeLessThan(50);
  }
});

test('close rejects what runs with CLOSED, and what comes later', async () => {
  const session = await connect(address, { runtime: faulty({ head: () => never }) });
  const running = session.run(photo);
  setTimeout(() => session.close(), 30);
  await expect(running).rejects.toMatchObject({ code: 'CLOSED' });
  await expect(session.run(photo)).rejects.toMatchObject({ code: 'CLOSED' });
  await session.close();
});

test('close in the middle of real runs settles all of them', async () => {
  const session = await connect(address);
  const runs = Array.from({ length: 8 }, () => session.run(photo));
  const settled = Promise.allSettled(runs);
  await runs[0];
  await session.close();
  for (const run of await settled) {
    if (run.status === 'rejected') expect(run.reason).toMatchObject({ code: 'CLOSED' });
  }
});
