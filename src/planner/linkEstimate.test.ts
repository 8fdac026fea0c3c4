// The link's fit: it finds round trip and bandwidth, follows jumps, and is not fooled by one late message.
import { expect, test } from 'vitest';
import { seeded } from '../../e2e/faults/link.ts';
import { LinkEstimate } from './linkEstimate.ts';

/** Milliseconds over a link of so many bits a second. */
const link =
  (rtt: number, bits: number) =>
  (bytesUp: number, noise = 0) => ({
    bytesUp,
    bytesDown: 4000,
    ms: rtt + (8000 * (bytesUp + 4000)) / bits + noise,
  });

test('round trip and bandwidth are found from messages of several sizes', () => {
  const estimate = new LinkEstimate();
  const random = seeded(1);
  const fast = link(20, 20e6);
  for (let i = 0; i < 40; i++) estimate.observe(fast([500, 12000, 60000][i % 3]!, random()));
  for (const bytes of [300, 30000, 100000])
    expect(Math.abs(estimate.predict(bytes, 4000) / fast(bytes, 0.5).ms - 1)).toBeLessThan(0.05);
  expect(estimate.bitsPerSecond / 20e6).toBeCloseTo(1, 0);
});

test('a step is noticed with the second message that it delays, also for sizes that were not sent since', () => {
  const estimate = new LinkEstimate();
  for (let i = 0; i < 30; i++) estimate.observe(link(20, 20e6)([3000, 60000][i % 2]!));
  const slow = link(20, 2e6);
  expect(estimate.observe(slow(60000))).toBe(false);
  expect(estimate.observe(slow(60000))).toBe(true);
  expect(Math.abs(estimate.predict(60000, 4000) / slow(60000).ms - 1)).toBeLessThan(0.1);
  expect(Math.abs(estimate.predict(5000, 4000) / slow(5000).ms - 1)).toBeLessThan(0.7);
});

test('a message that is early tells of a better link by itself', () => {
  const estimate = new LinkEstimate();
  for (let i = 0; i < 30; i++) estimate.observe(link(20, 2e6)([3000, 12000][i % 2]!));
  expect(estimate.observe(link(20, 20e6)(12000))).toBe(true);
  expect(estimate.predict(12000, 4000)).toBeLessThan(link(20, 2e6)(12000).ms * 0.7);
});

test('one late message among many is no other link', () => {
  const estimate = new LinkEstimate();
  const usual = link(20, 20e6);
  for (let i = 0; i < 30; i++) estimate.observe(usual(12000));
  expect(estimate.observe(usual(12000, 90))).toBe(false);
  expect(estimate.predict(12000, 4000)).toBeLessThan(usual(12000).ms * 1.6);
  for (let i = 0; i < 10; i++) estimate.observe(usual(12000));
  expect(Math.abs(estimate.predict(12000, 4000) / usual(12000).ms - 1)).toBeLessThan(0.1);
});

test('a prediction is sure for the size that is sent, and unsure for a much larger one', () => {
  const estimate = new LinkEstimate();
  for (let i = 0; i < 60; i++) estimate.observe(link(20, 20e6)(1000));
  expect(estimate.spreadOf(1000, 4000)).toBeLessThan(3);
  expect(estimate.spreadOf(60000, 4000)).toBeGreaterThan(10);
});

test('what is no measurement changes nothing', () => {
  const estimate = new LinkEstimate();
  const before = estimate.predict(1000, 4000);
  for (const ms of [Number.NaN, -1, Number.POSITIVE_INFINITY])
    expect(estimate.observe({ bytesUp: 1000, bytesDown: 4000, ms })).toBe(false);
  expect(estimate.predict(1000, 4000)).toBe(before);
  expect(estimate.samples).toBe(0);
});

test('the first message, which opened a connection, is forgotten; the second is no other link', () => {
  const estimate = new LinkEstimate();
  const usual = link(20, 20e6);
  expect(estimate.observe(usual(60000, 800))).toBe(false);
  expect(estimate.observe(usual(30000))).toBe(false);
  for (let i = 0; i < 3; i++) estimate.observe(usual(60000));
  expect(Math.abs(estimate.predict(60000, 4000) / usual(60000).ms - 1)).toBeLessThan(0.15);
});

test('two early messages of different sizes leave the slope open, so that a probe can still find it', () => {
  const estimate = new LinkEstimate();
  const fast = link(20, 20e6);
  estimate.observe(fast(60000));
  estimate.observe(fast(30000));
  for (let i = 0; i < 40; i++) estimate.observe(fast(60000, i % 2));
  const off = Math.abs(estimate.predict(30000, 4000) - fast(30000, 0.5).ms);
  expect(off).toBeLessThan(2 * estimate.spreadOf(30000, 4000) + 1);
});
