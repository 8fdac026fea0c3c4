import { expect, test } from 'vitest';
import { schedule } from './chart.ts';

test('a split lights every part, in order, each after its share of the time', () => {
  const ms = {
    preprocess: 10,
    head: 30,
    encode: 10,
    uplink: 30,
    decode: 5,
    tail: 10,
    downlink: 5,
    total: 110,
  };
  const lit = schedule({ ran: 'split', ms });
  expect(lit.map(([name]) => name)).toEqual(['mark-head', 'leg-head', 'mark-neck', 'leg-tail', 'mark-tail']);
  expect(lit.map(([, at]) => Math.round(at))).toEqual([0, 550, 660, 770, 880]);
});

test('parts that took no part stay dark', () => {
  expect(schedule({ ran: 'local', ms: { head: 5, total: 5 } })).toEqual([['mark-head', 0]]);
  const remote = schedule({ ran: 'remote', ms: { uplink: 5, total: 5 } });
  expect(remote.map(([name]) => name)).not.toContain('mark-head');
});

test('a report without times does not divide by nothing', () => {
  for (const [, at] of schedule({ ran: 'split', ms: { total: 0 } })) expect(at).toBe(0);
});
