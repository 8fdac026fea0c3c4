// When a link counts as dead: never while it may only be slow, always when nothing comes back.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Silence } from './silence.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function silence(rtt: number) {
  const state = { unanswered: 0, buffered: 0, pings: 0, dead: 0 };
  const watch = new Silence(rtt, {
    unanswered: () => state.unanswered,
    buffered: () => state.buffered,
    ping: () => state.pings++,
    dead: () => state.dead++,
  });
  return { state, watch };
}

test('half a second to the ping, half a second to the end; four round trips where they are longer', () => {
  for (const [rtt, patience] of [
    [10, 500],
    [400, 1600],
  ] as const) {
    const { state, watch } = silence(rtt);
    watch.watch();
    vi.advanceTimersByTime(patience - 1);
    expect(state.pings).toBe(0);
    vi.advanceTimersByTime(1);
    expect(state).toMatchObject({ pings: 1, dead: 0 });
    vi.advanceTimersByTime(patience);
    expect(state).toMatchObject({ pings: 1, dead: 1 });
  }
});

test('whatever comes begins it anew; when nothing is waited for, nothing is asked', () => {
  const { state, watch } = silence(10);
  watch.watch();
  for (let i = 0; i < 20; i++) {
    vi.advanceTimersByTime(700);
    expect(state.pings).toBe(i + 1);
    watch.pong();
    watch.heard(true);
  }
  watch.heard(false);
  vi.advanceTimersByTime(60_000);
  expect(state).toMatchObject({ pings: 20, dead: 0 });
  expect(watch.srtt).toBeGreaterThan(100); // pongs took 200 ms
  expect(watch.srtt).toBeLessThan(200);
});

test('a large request on a slow way up is given its time, less once the way is known to be fast', () => {
  const { state, watch } = silence(10);
  state.unanswered = 100_000; // at 25 bytes a millisecond: 4 s, twice for safety
  watch.watch();
  vi.advanceTimersByTime(8400);
  expect(state.pings).toBe(0);
  vi.advanceTimersByTime(9000);
  expect(state.dead).toBe(1);
  const fast = silence(10);
  fast.watch.answered(50_000, 20);
  fast.state.unanswered = 100_000;
  fast.watch.watch();
  vi.advanceTimersByTime(1200);
  expect(fast.state).toMatchObject({ pings: 1, dead: 1 });
});

test('bytes that still leave are a sign of life, and a page that slept has to listen first', () => {
  const { state, watch } = silence(10);
  state.buffered = 1_000_000;
  watch.watch();
  for (let i = 0; i < 10; i++) {
    state.buffered -= 1000;
    vi.advanceTimersByTime(500);
  }
  expect(state.pings).toBe(0);
  const now = performance.now();
  const clock = vi.spyOn(performance, 'now').mockReturnValue(now + 60_000);
  vi.advanceTimersByTime(500);
  expect(state.pings).toBe(0);
  clock.mockRestore();
  vi.advanceTimersByTime(500);
  expect(state.pings).toBe(1);
});
