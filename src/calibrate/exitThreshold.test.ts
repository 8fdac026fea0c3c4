// The threshold of an early exit on answers whose agreement is known, against Clopper and Pearson's published limits.
import { expect, test } from 'vitest';
import { exitValue, isEnough } from '../model/exitRule.ts';
import { type ExitTrial, exitThreshold } from './exitThreshold.ts';
import { isAtLeast } from './intervals.ts';
import { signStream } from './random.ts';

test('the limit of Clopper and Pearson', () => {
  // Without a miss it is (1 - confidence)^(1/n), in closed form.
  for (const n of [1, 10, 114, 5000]) {
    const limit = 0.1 ** (1 / n);
    expect(isAtLeast(n, n, limit - 1e-9, 0.9)).toBe(true);
    expect(isAtLeast(n, n, limit + 1e-9, 0.9)).toBe(false);
  }
  // The two-sided 95 % interval of 5 among 10 is 0.1871…0.8129 (R's binom.test).
  expect(isAtLeast(5, 10, 0.187, 0.975)).toBe(true);
  expect(isAtLeast(5, 10, 0.1872, 0.975)).toBe(false);
  expect(isAtLeast(0, 10, 0.01, 0.9)).toBe(false);
});

/** Answers whose exit is right with a chance that grows with how sure it is. */
function trials(count: number, seed: number): ExitTrial[] {
  const sign = signStream(seed);
  /** 0…1 from 20 signs. */
  const random = () =>
    Array.from({ length: 20 }, sign).reduce((x, s) => 2 * x + (s > 0 ? 1 : 0), 0) / 2 ** 20;
  return Array.from({ length: count }, () => {
    const sure = 1 / 3 + (2 / 3) * random();
    const rest = (1 - sure) * random();
    return { exit: Float64Array.of(sure, rest, 1 - sure - rest), agrees: random() < sure ** 0.2 };
  });
}

test('it keeps the agreement on pictures that it was not made from', () => {
  let kept = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const found = exitThreshold(trials(2000, seed), 0.97)!;
    const others = trials(4000, 1000 + seed).filter(({ exit }) =>
      isEnough(found, exitValue(found.rule, exit)),
    );
    expect(others.length).toBeGreaterThan(400);
    if (others.filter(({ agrees }) => agrees).length / others.length >= 0.97) kept++;
  }
  expect(kept).toBeGreaterThanOrEqual(16);
});

test('the threshold lets exactly those end that it counts', () => {
  const list = trials(800, 3);
  const found = exitThreshold(list, 0.95)!;
  const ended = list.filter(({ exit }) => isEnough(found, exitValue(found.rule, exit)));
  expect(ended.length).toBe(found.exited);
  expect(ended.filter(({ agrees }) => agrees).length).toBe(found.agreeing);
  expect(exitThreshold(list, 0.9)!.exited).toBeGreaterThan(found.exited); // less asked, more ends
});

test('too few pictures prove nothing, and neither does an exit that guesses', () => {
  const sure = Array.from({ length: 100 }, () => ({ exit: Float64Array.of(0.9, 0.1), agrees: true }));
  expect(exitThreshold(sure, 0.98)).toBeUndefined();
  expect(exitThreshold([...sure, ...sure], 0.98)?.exited).toBe(200);
  const guesses = trials(1000, 5).map((one, i) => ({ ...one, agrees: i % 2 === 0 }));
  expect(exitThreshold(guesses, 0.98)).toBeUndefined();
});
