// The planner alone, on a world of three ways whose times the test sets: what makes it go over to another way, what does not, and what
// it says. Traces with chance in them are bench/planner.test.ts.
import { expect, test } from 'vitest';
import type { Candidate } from './candidates.ts';
import type { Observation } from './forecaster.ts';
import { createPlanner } from './planner.ts';
import type { Decision } from './plannerTypes.ts';
import { workOf } from './work.ts';

const LOCAL: Candidate = { id: 'local', plan: 'local', bytes: 0, accuracy: 1 };
const SPLIT: Candidate = {
  id: 'a/isthmus',
  plan: 'split',
  cut: 0,
  cutName: 'a',
  preset: 'isthmus',
  bytes: 4000,
};
const REMOTE: Candidate = { id: 'remote', plan: 'remote', preset: 'jpeg', bytes: 20000 };
const work = workOf({ segments: [100e6, 100e6].map((macs) => ({ macs, bytes: 1 })) });

/** What each way takes: a device of 100 ms, a link of 20 ms and 20 Mbit/s, a server of 20 ms. */
function times(candidate: Candidate, { head = 50, queue = 0, load = 1 } = {}): Observation {
  if (candidate.plan === 'local')
    return { preprocess: 2, head: 2 * head, total: 2 + 2 * head, bytesUp: 0, bytesDown: 0 };
  const here = candidate.plan === 'split' ? { head, encode: 1 } : { encode: 2 };
  const tail = (candidate.plan === 'split' ? 10 : 20) * load;
  const uplink = 20 + (8000 * candidate.bytes) / 20e6;
  const stages = { preprocess: 2, ...here, uplink, decode: 1, queue, tail, downlink: 2 };
  const total = Object.values(stages).reduce((a, b) => a + b, 0);
  return { ...stages, total, bytesUp: candidate.bytes, bytesDown: 4000 };
}

function setUp(candidates: readonly Candidate[] = [LOCAL, SPLIT, REMOTE]) {
  let clock = 0;
  const planner = createPlanner({ candidates, work, now: () => clock, random: () => 0.5 });
  const run = (seen: (candidate: Candidate) => Observation = times): Decision => {
    clock += 200;
    const decision = planner.decide();
    planner.observe(decision.candidate, seen(decision.candidate));
    if (decision.race) planner.observe(LOCAL, seen(LOCAL));
    return decision;
  };
  const settle = (count = 40) => Array.from({ length: count }, () => run()).at(-1)!;
  return { planner, run, settle, later: (ms: number) => (clock += ms) };
}

test('one reply whose queue and tail both tell of a load is believed, and the next run is here', () => {
  const { run, settle } = setUp();
  expect(settle().candidate).toBe(REMOTE);
  run((c) => times(c, { queue: 60, load: 6 }));
  const next = run((c) => times(c, { queue: 60, load: 6 }));
  expect(next.candidate).toBe(LOCAL);
  expect(next.why).toContain('the server changed');
});

test('one slow tail without a queue is chance; the second one in a row is a load', () => {
  const { run, settle } = setUp();
  settle();
  const busy = (c: Candidate) => times(c, { load: 6 });
  run(busy);
  expect(run(busy).candidate).toBe(REMOTE);
  expect(run(busy).candidate).toBe(LOCAL);
});

test('after a crossing that was given up, the first reply tells whether it was the server', () => {
  const { planner, run, settle } = setUp();
  settle();
  const lost = planner.decide();
  expect(lost.patienceMs).toBeGreaterThan(0);
  planner.failed(lost, lost.patienceMs);
  // Only planned for a link that slow; this way was never taken before.
  planner.observe(SPLIT, times(SPLIT, { load: 8, queue: 60 }));
  expect(run().candidate).toBe(LOCAL);
});

test('what a reply claims of its server cannot be longer than the whole answer', () => {
  const { planner, run, settle } = setUp();
  settle();
  const expected = () => planner.alternatives().map(({ predictedMs }) => predictedMs);
  const before = expected();
  for (const wrong of [Number.NaN, 1e9, -5, Number.POSITIVE_INFINITY])
    for (const stage of ['queue', 'tail', 'decode', 'uplink'] as const)
      planner.observe(REMOTE, { ...times(REMOTE), [stage]: wrong });
  planner.observe(REMOTE, { ...times(REMOTE), total: Number.NaN });
  planner.observe(REMOTE, { ...times(REMOTE), bytesUp: Number.NaN });
  for (const [i, ms] of expected().entries()) expect(Math.abs(ms / before[i]! - 1)).toBeLessThan(0.1);
  const next = [run(), run()].filter(({ kind }) => kind !== 'probe');
  expect(next.map(({ candidate }) => candidate)).toContain(REMOTE);
});

test('what fails here is left out for a while, longer each time, and then tried again', () => {
  const { planner, run, settle } = setUp([LOCAL, REMOTE]);
  settle();
  const pause = () => {
    let count = 0;
    while (planner.decide().candidate !== REMOTE && count < 100) count++;
    return count;
  };
  planner.broken(REMOTE);
  expect(run().candidate).toBe(LOCAL);
  const first = pause();
  expect(first).toBeGreaterThan(3);
  planner.broken(REMOTE);
  expect(pause()).toBeGreaterThan(first);
});

test('an outage is looked into even where nothing there was expected to be faster', () => {
  const { planner, settle, later } = setUp();
  settle();
  planner.failed(planner.decide());
  // Meanwhile the device became so fast that only a better link or server would be worth it.
  for (let i = 0; i < 10; i++) planner.observe(LOCAL, times(LOCAL, { head: 22 }));
  expect(planner.decide().candidate).toBe(LOCAL);
  later(120_000);
  expect(planner.decide()).toMatchObject({ kind: 'return' });
});

test('limits that no way keeps: the fewest are exceeded, and the sentence names them', () => {
  const { planner, settle } = setUp();
  settle();
  const limits = { maxDeviceMs: 1, deadlineMs: 1, maxBytes: 0 };
  const decision = planner.decide({ limits });
  expect(decision.candidate).toBe(LOCAL); // it sends nothing
  for (let i = 0; i < 5; i++) expect(planner.decide({ limits }).why).toMatch(/no way keeps .*deadlineMs/);
});

test('times of another day are tried again where they say that this device is slow', () => {
  const { planner, run } = setUp();
  planner.restore({ 'head:1': 150, 'head:0': 75, 'prepare:local': 2 });
  const fast = (c: Candidate) => times(c, { head: 18 });
  const runs = Array.from({ length: 60 }, () => run(fast)).slice(-5);
  for (const { candidate } of runs.filter(({ kind }) => kind !== 'probe')) expect(candidate).toBe(LOCAL);
  expect(runs.filter(({ kind }) => kind === 'probe').length).toBeLessThan(2);
});

test('exits: less is expected of a way that may end early, what ended there teaches it, and it says so', () => {
  const exit = { name: 'early', cut: 0, work: 2, coverage: 0.6, agreement: 0.99 };
  const EARLY = { ...SPLIT, exits: [exit] };
  const plain = setUp([SPLIT]);
  const { planner } = setUp([EARLY]);
  const expected = (of: typeof planner) => of.alternatives()[0]!.predictedMs;
  for (let i = 0; i < 6; i++) {
    plain.planner.observe(SPLIT, times(SPLIT));
    planner.observe(EARLY, times(EARLY));
  }
  const through = expected(plain.planner);
  // 0.6 and a little less of it, as six in a row crossed.
  expect(expected(planner)).toBeLessThan(through);
  expect(planner.decide().why).toMatch(/about \d+ % end at an exit before\.$/);
  const ended = { preprocess: 2, head: 51, exit: 'early', total: 53, bytesUp: 0, bytesDown: 0 };
  for (let i = 0; i < 100; i++) planner.observe(EARLY, ended);
  expect(expected(planner)).toBeGreaterThan(45);
  expect(expected(planner)).toBeLessThan(60);
  // Exits tell of the device and nothing of the link: 50 ms of the head are its own.
  expect(planner.bases()['head:0']).toBeCloseTo(50, 0);
  for (let i = 0; i < 200; i++) planner.observe(EARLY, times(EARLY));
  expect(expected(planner) / through).toBeGreaterThan(0.95);
});

test('a way with exits keeps a deadline only where it does without them', () => {
  const exits = [{ name: 'early', cut: 0, work: 2, coverage: 0.99, agreement: 0.99 }];
  const { planner, settle } = setUp([{ ...SPLIT, exits }, REMOTE]);
  settle();
  expect(planner.decide({ limits: { deadlineMs: 80 } }).candidate).toBe(REMOTE);
});

test('looks at the link and tries after an outage are races with a run here; probes of this device are not', () => {
  const { planner, run, settle, later } = setUp();
  const far = (c: Candidate) => {
    const { uplink = 0, total, ...rest } = times(c);
    return c.plan === 'local' ? times(c) : { ...rest, uplink: uplink + 400, total: total + 400 };
  };
  settle();
  const away = Array.from({ length: 60 }, () => run(far)).slice(10);
  const looks = away.filter(({ candidate }) => candidate.plan !== 'local');
  expect(looks.length).toBeGreaterThan(1);
  for (const look of looks)
    expect(look).toMatchObject({ kind: 'probe', patienceMs: 0, race: { lateMs: expect.any(Number) } });
  // Known again, the tail is away.
  settle(80);
  const crossing = planner.decide();
  expect(crossing.candidate.plan).not.toBe('local');
  planner.failed(crossing);
  later(1000);
  expect(planner.decide()).toMatchObject({ kind: 'return', patienceMs: 0, race: {} });
  const near = setUp();
  const probes = Array.from({ length: 80 }, () => near.run()).filter(({ kind }) => kind === 'probe');
  expect(probes.length).toBeGreaterThan(1);
  for (const probe of probes) expect(probe.race).toBeUndefined();
});

test('runs that miss their deadline still tell how slow this device is', () => {
  const { planner, settle } = setUp([SPLIT, REMOTE]);
  settle();
  const expected = () => planner.alternatives().find(({ candidate }) => candidate === SPLIT)!.predictedMs;
  const before = expected();
  for (let i = 0; i < 4; i++) planner.prepared(SPLIT, { preprocess: 2, head: 500, encode: 10 });
  expect(expected()).toBeGreaterThan(before + 300);
});
