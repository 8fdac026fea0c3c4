// The search for the best batch on models whose times are known. Real models: batching.test.ts.
import { expect, test } from 'vitest';
import { BatchSizer } from './batchSizer.ts';

/** Runs full batches, as under load, and gives the limits that were tried. */
function explore(sizer: BatchSizer, ms: (rows: number) => number, runs = 150): number[] {
  return Array.from({ length: runs }, () => {
    const rows = sizer.limit;
    sizer.ran(rows, ms(rows));
    return rows;
  });
}
const trusted = (most: number) => {
  const sizer = new BatchSizer(most);
  sizer.together = true;
  return sizer;
};

test('nothing runs together before it is known that items stay apart', () => {
  const sizer = new BatchSizer(16);
  for (let i = 0; i < 10; i++) sizer.ran(1, 1);
  expect(sizer.limit).toBe(1);
  sizer.together = false;
  expect(sizer.limit).toBe(1);
  sizer.together = true;
  expect(sizer.limit).toBe(2);
});

test('it grows while a larger batch is faster per item, and stops at the limit', () => {
  const limits = explore(trusted(16), (rows) => 5 + rows);
  expect([...new Set(limits)]).toEqual([1, 2, 4, 8, 16]);
  expect(limits.at(-1)).toBe(16);
  expect(explore(trusted(6), (rows) => 5 + rows).at(-1)).toBe(4);
});

test('it does not grow where that does not pay, and never tries sizes far above', () => {
  const limits = explore(trusted(16), (rows) => 4 * rows);
  expect(limits.at(-1)).toBe(1);
  expect(Math.max(...limits)).toBe(2);
  // Pays up to four, then memory runs short.
  const bend = explore(trusted(16), (rows) => (rows <= 4 ? 3 + rows : 3 * rows));
  expect(bend.at(-1)).toBe(4);
  expect(Math.max(...bend)).toBe(8);
});

test('a bad moment is not remembered for ever', () => {
  const sizer = trusted(4);
  explore(sizer, (rows) => (rows > 1 ? 50 : 5) * rows, 20);
  expect(sizer.limit).toBe(1);
  expect(explore(sizer, (rows) => 5 + rows, 5000).at(-2)).toBe(4);
});

test('it waits only where a partner should come soon and saves more than the wait', () => {
  const arrivals = (sizer: BatchSizer, gap: number) => {
    for (let i = 0; i < 100; i++) sizer.arrived(i * gap);
  };
  const gains = trusted(16);
  explore(gains, (rows) => 20 + rows);
  arrivals(gains, 1);
  expect(gains.wait(1, 2)).toBeGreaterThan(0);
  expect(gains.wait(1, 2)).toBeLessThanOrEqual(2);
  expect(gains.wait(16, 2)).toBe(0); // it is full
  expect(gains.wait(1, 0)).toBe(0);

  const quiet = trusted(16);
  explore(quiet, (rows) => 20 + rows);
  arrivals(quiet, 30);
  expect(quiet.wait(1, 2)).toBe(0);

  const gainless = trusted(16);
  explore(gainless, (rows) => 0.3 + rows);
  arrivals(gainless, 1);
  expect(gainless.wait(1, 2)).toBe(0);
});
