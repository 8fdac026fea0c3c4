// A link that breaks again and again while requests go on: none is lost, none is answered twice or with another's answer,
// and every break is over soon. The long form of each is `ISTHMUS_ENDURANCE=60 npx vitest run e2e/faults/endurance.test.ts`.
import { expect, test, vi } from 'vitest';
import type { Session } from '../../src/client/types.ts';
import { percentile } from '../soak/requests.ts';
import { type FaultBench, faultBench } from './bench.ts';
import { HEALTHY } from './link.ts';

const SECONDS = Number(process.env.ISTHMUS_ENDURANCE ?? 6);
/** The long form takes longer than a test may otherwise. */
vi.setConfig({ testTimeout: SECONDS * 1000 + 60_000 });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Tally {
  asked: number;
  answers: number;
  wrong: number;
  failed: string[];
  /** Moments at which an answer came. */
  times: number[];
}

/** Several runs at once, each with an input of its own and the answer that belongs to it. */
async function keepAsking(session: Session, until: number, lanes = 3): Promise<Tally> {
  const tally: Tally = { asked: 0, answers: 0, wrong: 0, failed: [], times: [] };
  const inputs = Array.from({ length: lanes }, (_, lane) => {
    const data = Float32Array.from({ length: 3 * 16 * 16 }, (_, i) => Math.sin(i * (lane + 1)));
    return { [session.manifest.inputs[0]!.name]: { dtype: 'float32' as const, shape: [1, 3, 16, 16], data } };
  });
  const right: string[] = [];
  for (const input of inputs) right.push((await session.run(input)).outputs.logits!.data.toString());
  await Promise.all(
    inputs.map(async (input, lane) => {
      while (performance.now() < until) {
        tally.asked++;
        try {
          const { outputs } = await session.run(input, { deadlineMs: 15_000 });
          tally.answers++;
          tally.times.push(performance.now());
          if (outputs.logits!.data.toString() !== right[lane]) tally.wrong++;
        } catch (thrown) {
          tally.failed.push(String(thrown));
        }
        await pause(5);
      }
    }),
  );
  return tally;
}

/** From each break to the first answer behind it. */
const recoveries = (breaks: readonly number[], { times }: Tally) =>
  breaks.flatMap((at) => times.filter((t) => t > at).slice(0, 1)).map((t, i) => t - breaks[i]!);

async function endure(
  bench: FaultBench,
  transport: 'auto' | 'websocket' | 'webtransport',
  harm: (bench: FaultBench) => Promise<number>,
) {
  await using session = await bench.connect({ mode: 'only-split', cut: 'r1', codec: 'raw', transport });
  const until = performance.now() + SECONDS * 1000;
  const asking = keepAsking(session, until);
  const breaks: number[] = [];
  while (performance.now() < until - 1600) {
    await pause(900);
    breaks.push(await harm(bench));
  }
  bench.set(HEALTHY);
  const tally = await asking;
  const back = recoveries(breaks, tally);
  const p95 = percentile(back, 0.95);
  console.log(
    `${transport}: ${breaks.length} breaks, ${tally.answers} of ${tally.asked} answered, back after p50 ${percentile(back, 0.5).toFixed(0)} ms, p95 ${p95.toFixed(0)} ms`,
  );
  expect(tally.failed).toEqual([]);
  expect(tally.answers).toBe(tally.asked);
  expect(tally.wrong).toBe(0);
  expect(breaks.length).toBeGreaterThan(1);
  expect(p95).toBeLessThan(1500);
}

test('websocket, cut every second', async () => {
  await using bench = await faultBench();
  await endure(bench, 'websocket', async ({ tcp }) => {
    tcp.cut();
    return performance.now();
  });
});

test('auto, everything cut or silent for a moment every second', async () => {
  await using bench = await faultBench();
  await endure(bench, 'auto', async ({ tcp, udp }) => {
    tcp.cut();
    udp.set({ blackhole: true });
    const at = performance.now();
    await pause(300);
    udp.set({ blackhole: false });
    return at;
  });
});

test('webtransport on a link that loses every tenth packet and is silent now and then', async () => {
  await using bench = await faultBench();
  bench.udp.set({ loss: 0.1, jitterMs: 20 });
  await endure(bench, 'webtransport', async ({ udp }) => {
    udp.set({ blackhole: true });
    await pause(200);
    udp.set({ blackhole: false });
    return performance.now();
  });
});
