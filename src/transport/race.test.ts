// The race: who starts when, who wins, and what becomes of the others.
import { expect, test } from 'vitest';
import { type Runner, race } from './race.ts';

const NEVER = new AbortController().signal;

/** Opens after `ms`, or fails then; keeps what happened to it. */
function runner(
  name: string,
  ms: number,
  after: number,
  { fails = false, deaf = false, capMs = 10_000 } = {},
) {
  const seen: string[] = [];
  const made: Runner<string> & { seen: string[] } = {
    ...{ after, capMs, seen },
    failed: () => seen.push('failed'),
    open: (signal) =>
      new Promise((resolve, reject) => {
        seen.push('started');
        setTimeout(() => (fails ? reject(new Error(name)) : resolve(name)), ms);
        signal.addEventListener('abort', () => {
          seen.push('stopped');
          if (!deaf) reject(signal.reason);
        });
      }),
  };
  return made;
}

test('the first to open wins; one that would start later never does', async () => {
  const [a, b] = [runner('a', 20, 0), runner('b', 0, 5000)];
  expect(await race([b, a], () => undefined, NEVER)).toBe('a');
  expect([a.seen, b.seen]).toEqual([['started'], []]);
});

test('a loser is stopped, and dropped when it opens all the same', async () => {
  const [a, b] = [runner('a', 150, 0, { deaf: true }), runner('b', 0, 30)];
  const late: string[] = [];
  expect(await race([a, b], (opened) => late.push(opened), NEVER)).toBe('b');
  expect(a.seen).toEqual(['started', 'stopped']);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(late).toEqual(['a']);
  expect(a.seen).not.toContain('failed');
});

test('a failure starts the next one at once; the first failure is told when all fail', async () => {
  const began = performance.now();
  const [a, b] = [runner('a', 0, 0, { fails: true }), runner('b', 0, 5000)];
  expect(await race([a, b], () => undefined, NEVER)).toBe('b');
  expect(performance.now() - began).toBeLessThan(2500);
  expect(a.seen).toEqual(['started', 'failed']);
  const all = [runner('c', 20, 0, { fails: true }), runner('d', 0, 5000, { fails: true })];
  await expect(race(all, () => undefined, NEVER)).rejects.toThrow('c');
});

test('who takes too long has failed; a signal ends it all', async () => {
  const stuck = runner('stuck', 60_000, 0, { capMs: 40 });
  expect(await race([stuck, runner('b', 0, 5000)], () => undefined, NEVER)).toBe('b');
  expect(stuck.seen).toEqual(['started', 'stopped', 'failed']);
  const stop = new AbortController();
  const other = runner('other', 60_000, 0);
  const racing = race([other], () => undefined, stop.signal);
  stop.abort(new Error('enough'));
  await expect(racing).rejects.toThrow('enough');
  expect(other.seen).toEqual(['started', 'stopped']);
  await expect(race([other], () => undefined, stop.signal)).rejects.toThrow('enough');
});
