// Quiet begins a second after the last work ended, never before the first and never while some is under way.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Quiet } from './quiet.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function watch(quiet: Quiet, signal = new AbortController().signal) {
  const seen = { quiet: false };
  void quiet.wait(signal).then(() => {
    seen.quiet = true;
  });
  return seen;
}

test('before the first work it is never quiet; an abort ends the wait', async () => {
  const controller = new AbortController();
  const seen = watch(new Quiet(), controller.signal);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seen.quiet).toBe(false);
  controller.abort();
  await vi.advanceTimersByTimeAsync(0);
  expect(seen.quiet).toBe(true);
});

test('overlapping work counts until the last has ended, failures too', async () => {
  const quiet = new Quiet();
  const later = <T>(ms: number, value: T) => new Promise<T>((resolve) => setTimeout(resolve, ms, value));
  const long = quiet.during(() => later(5000, 'long'));
  await expect(quiet.during(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  const seen = watch(quiet);
  await vi.advanceTimersByTimeAsync(5900);
  expect(await long).toBe('long');
  expect(seen.quiet).toBe(false);
  await vi.advanceTimersByTimeAsync(1100);
  expect(seen.quiet).toBe(true);
});
