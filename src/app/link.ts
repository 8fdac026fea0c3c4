// What a run would have taken on another link: its measured computing times with the link's share calculated anew.
// A plain model (one round trip, then the bytes at the rated speed); the page says that it is calculated.
import type { Report } from '../index.ts';

export interface Link {
  name: string;
  /** Megabits per second, each way. */
  mbps: number;
  /** Milliseconds there and back. */
  rtt: number;
}

export const LINKS: readonly Link[] = [
  { name: '20 Mbit/s, 40 ms round trip', mbps: 20, rtt: 40 },
  { name: '5 Mbit/s, 60 ms round trip', mbps: 5, rtt: 60 },
  { name: '1 Mbit/s, 100 ms round trip', mbps: 1, rtt: 100 },
  { name: '0.2 Mbit/s, 300 ms round trip', mbps: 0.2, rtt: 300 },
];

/** The run's timings on `link`; on the measured one when there is none, or when nothing crossed. */
export function timingsOn(report: Pick<Report, 'ran' | 'ms' | 'bytes'>, link?: Link): Report['ms'] {
  const { ms, bytes, ran } = report;
  if (!link || ran === 'local') return ms;
  const perByte = 8 / (link.mbps * 1000);
  const uplink = link.rtt + bytes.up * perByte;
  const downlink = bytes.down * perByte;
  const total = ms.total - (ms.uplink ?? 0) - (ms.downlink ?? 0) + uplink + downlink;
  return { ...ms, uplink, downlink, total };
}
