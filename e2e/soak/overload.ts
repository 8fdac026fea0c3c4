// S3: five times the work a tail can do, sent without waiting for answers. What it can do it still does; the rest is
// refused at once, with the time to come back.
import { Agent } from 'node:http';
import type { Figure } from './figure.ts';
import { eachOf, featureFrame, infer, type Outcome, percentile } from './requests.ts';
import { manifestOf, serve } from './server.ts';

/** One thread for the tail, so that the other core is left to those who ask. */
const OPTIONS = ['--threads', '1'];
const TIMES = 5;

/** Within which half of the refusals have to come. */
const REFUSAL_MS = 5;

export async function overload(seconds: number): Promise<Figure> {
  await using server = await serve(undefined, OPTIONS);
  // The earliest cut: the tail has the most to do, so few requests are many.
  const frame = featureFrame(await manifestOf(), 'stem_b');
  const agent = new Agent({ keepAlive: true, maxSockets: 512 });
  const ask = () => infer(agent, server.port, frame);
  await eachOf(200, 8, async () => void (await ask()));
  const peak = await closedLoop(ask, seconds * 1000);
  const outcomes = await openLoop(ask, TIMES * peak, seconds * 1000);
  agent.destroy();
  const good = outcomes.filter((o) => o.status === 200).length / seconds;
  const refused = outcomes.filter((o) => o.status === 503 || o.status === 429);
  const others = outcomes.length - refused.length - outcomes.filter((o) => o.status === 200).length;
  const polite = refused.every((o) => Number(o.retryAfter) >= 1);
  const waited = percentile(
    refused.map((o) => o.ms),
    0.5,
  );
  const share = good / peak;
  // A third: who asks, who refuses and who works share the cores with whatever else runs; below that the tail collapses.
  const sound = share > 1 / 3 && polite && others === 0 && refused.length > 0;
  return {
    id: 'S3',
    promise: `${TIMES}× overload for ${seconds} s: ${Math.round(TIMES * peak)} requests a second`,
    reach: `goodput ≥ 90 % of peak, the rest 429/503 with Retry-After in < ${REFUSAL_MS} ms`,
    measured: `${(100 * share).toFixed(0)} % of ${peak.toFixed(0)}/s, ${refused.length} refused (half of them within ${waited.toFixed(1)} ms, p95 ${percentile(
      refused.map((o) => o.ms),
      0.95,
    ).toFixed(1)} ms), ${polite ? 'all' : 'NOT all'} with Retry-After, ${others} otherwise`,
    sound,
    kept: sound && share >= 0.9 && waited < REFUSAL_MS,
  };
}

/** Answers a second when sixteen clients wait for each other's turn. */
async function closedLoop(ask: () => Promise<Outcome>, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let answered = 0;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (performance.now() < end) if ((await ask()).status === 200) answered++;
    }),
  );
  return (answered / ms) * 1000;
}

/** Sends at that rate whatever comes back. */
async function openLoop(ask: () => Promise<Outcome>, rate: number, ms: number): Promise<Outcome[]> {
  const began = performance.now();
  const sent: Promise<Outcome>[] = [];
  for (;;) {
    const elapsed = performance.now() - began;
    if (elapsed >= ms) break;
    for (const due = (elapsed / 1000) * rate; sent.length < due; ) sent.push(ask());
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return Promise.all(sent);
}
