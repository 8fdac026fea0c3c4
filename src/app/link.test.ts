import { expect, test } from 'vitest';
import { timingsOn } from './link.ts';

const report = {
  ran: 'split' as const,
  bytes: { up: 10_000, down: 500 },
  ms: { head: 20, uplink: 3, tail: 10, downlink: 1, total: 40 },
};

test('a slower link replaces only the share of the link', () => {
  const slow = timingsOn(report, { name: '', mbps: 1, rtt: 100 });
  expect(slow).toMatchObject({ head: 20, tail: 10, uplink: 180, downlink: 4, total: 40 - 4 + 184 });
});

test('without a link, and where nothing crosses, the measurement stands', () => {
  expect(timingsOn(report)).toBe(report.ms);
  const local = { ...report, ran: 'local' as const };
  expect(timingsOn(local, { name: '', mbps: 1, rtt: 100 })).toBe(report.ms);
});
