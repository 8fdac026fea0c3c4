// Two formats for the picture: which one the planner takes depends on the link, as WebP is smaller and takes longer to write, and what
// writing takes is learned for each of them apart. The link is the test's.
import { expect, test } from 'vitest';
import type { Candidate } from './candidates.ts';
import type { Observation } from './forecaster.ts';
import { createPlanner } from './planner.ts';
import { workOf } from './work.ts';

const picture = (format: 'jpeg' | 'webp', bytes: number): Candidate => ({
  ...{ id: `remote/${format}-0.5`, plan: 'remote', preset: format, quality: 0.5 },
  ...{ bytes, accuracy: 0.97 },
});
const JPEG = picture('jpeg', 6200);
const WEBP = picture('webp', 5000);
const candidates = [JPEG, WEBP];
const work = workOf({ segments: [{ macs: 100e6, bytes: 1 }] });

/** As measured in Chromium for 224 × 224; the link has 10 ms and so many bits a second. */
function seen({ preset, bytes }: Candidate, bitsPerSecond: number): Observation {
  const encode = preset === 'webp' ? 7.1 : 1.7;
  const uplink = 10 + (8000 * bytes) / bitsPerSecond;
  const stages = { preprocess: 3, encode, uplink, decode: 1, queue: 0, tail: 5, downlink: 1 };
  const total = Object.values(stages).reduce((a, b) => a + b, 0);
  return { ...stages, total, bytesUp: bytes, bytesDown: 4000 };
}

test.each([
  [0.5e6, WEBP],
  [20e6, JPEG],
])('at %d bit/s it settles on one of them', (bitsPerSecond, right) => {
  let clock = 0;
  const planner = createPlanner({ candidates, work, now: () => clock, random: () => 0.5 });
  const taken: Candidate[] = [];
  for (let i = 0; i < 60; i++) {
    clock += 200;
    const { candidate } = planner.decide();
    taken.push(candidate);
    planner.observe(candidate, seen(candidate, bitsPerSecond));
  }
  expect(taken.slice(-20).filter((one) => one === right).length).toBeGreaterThan(17);
});

test('a format that was tried on one large picture is not judged by it', () => {
  const planner = createPlanner({ candidates, work, now: () => 0, random: () => 0.5 });
  const bytes = () =>
    Object.fromEntries(planner.alternatives().map((one) => [one.candidate.preset, one.bytes]));
  const show = (candidate: Candidate, times: number) =>
    planner.observe(candidate, seen({ ...candidate, bytes: times * candidate.bytes }, 1e6));
  for (let i = 0; i < 5; i++) show(JPEG, 1.2); // this browser's encoders make larger files than the calibration's
  expect(bytes().jpeg).toBeCloseTo(1.2 * JPEG.bytes, 6);
  expect(bytes().webp).toBeCloseTo(1.2 * WEBP.bytes, 6);
  show(WEBP, 2.4);
  for (let i = 0; i < 20; i++) show(JPEG, 1.2);
  expect(bytes().webp).toBeLessThan(bytes().jpeg!);
  // What it weighs as against the other is learned where they come one after the other.
  for (let i = 0; i < 60; i++) show(i % 2 ? WEBP : JPEG, i % 2 ? 1.6 : 1.2);
  expect(bytes().webp! / bytes().jpeg!).toBeGreaterThan((1.2 * WEBP.bytes) / JPEG.bytes);
});

test('what writing takes is learned of each format apart, and guessed from the other', () => {
  const planner = createPlanner({ candidates, work, now: () => 0, random: () => 0.5 });
  const expected = () =>
    Object.fromEntries(planner.alternatives().map((one) => [one.candidate.preset, one.predictedMs]));
  // A link on which bytes cost nothing: what is left of the difference is the writing.
  for (let i = 0; i < 8; i++) planner.observe(JPEG, seen(JPEG, 1e12));
  const guessed = expected();
  expect(guessed.webp! - guessed.jpeg!).toBeCloseTo(2 * 1.7, 1);
  for (let i = 0; i < 8; i++) planner.observe(WEBP, seen(WEBP, 1e12));
  const known = expected();
  expect(known.webp! - known.jpeg!).toBeCloseTo(7.1 - 1.7, 1);
});
