import { expect, test } from 'vitest';
import { AGING_MS, JobQueue, type Queued } from './jobQueue.ts';

interface Named extends Queued {
  name: string;
}
const entry = (name: string, since: number, urgency = 3, together?: string, rows = 1): Named => ({
  name,
  since,
  urgency,
  together,
  rows,
});
const fill = (...entries: Named[]) => {
  const queue = new JobQueue<Named>(100);
  for (const e of entries) queue.push(e);
  return queue;
};
const order = (queue: JobQueue<Named>) => queue.drain().map((e) => e.name);

test('the urgent first, equals as they came', () => {
  expect(
    order(fill(entry('a', 1), entry('b', 2), entry('c', 3, 0), entry('d', 4, 7), entry('e', 5))),
  ).toEqual(['c', 'a', 'b', 'e', 'd']);
});

test('what may wait waits longer, but not for ever, under a steady load of ordinary requests', () => {
  const queue = fill(entry('patient', 0, 7));
  // One ordinary request comes every 10 ms and one is done every 10 ms.
  let served = '';
  let now = 10;
  for (; served !== 'patient' && now < 60_000; now += 10) {
    queue.push(entry('ordinary', now));
    const next = queue.find(() => true)!;
    queue.remove(next);
    served = next.name;
  }
  expect(now).toBeGreaterThan(3 * AGING_MS);
  expect(now).toBeLessThanOrEqual(4 * AGING_MS + 100);
});

test('a batch takes what may run with the first and fits, in order, and leaves the rest', () => {
  const [a, b, c] = [entry('a', 1, 3, 'k'), entry('b', 2, 3, 'other'), entry('c', 3, 3, 'k', 2)];
  const queue = fill(a, b, c, entry('d', 4, 3, 'k', 4), entry('e', 5, 3, 'k'), entry('f', 6));
  expect(queue.rows('k')).toBe(8);
  expect(queue.takeWith(a, 4).map((e) => e.name)).toEqual(['a', 'c', 'e']);
  expect(queue.length).toBe(3);
  expect(queue.takeWith(b, 1).map((e) => e.name)).toEqual(['b']);
  expect(order(queue)).toEqual(['d', 'f']);
});

test('it is full at its limit, and what is removed is gone', () => {
  const queue = new JobQueue<Named>(2);
  const first = entry('a', 1);
  queue.push(first);
  expect(queue.full).toBe(false);
  queue.push(entry('b', 2));
  expect(queue.full).toBe(true);
  expect([queue.remove(first), queue.remove(first)]).toEqual([true, false]);
  expect(order(queue)).toEqual(['b']);
});
