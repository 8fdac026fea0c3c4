// S4: many requests in one run; memory and open files must end where they began. Node runs as in the image (server.ts).
import { Agent } from 'node:http';
import type { Figure } from './figure.ts';
import { eachOf, featureFrame, infer, percentile } from './requests.ts';
import { filesBack, manifestOf, serve } from './server.ts';

const MIB = 1024 * 1024;
/** Beyond this it is a leak however short the run was. */
const LEAK_MIB = 96;

const SAMPLE_MS = 200;

/**
 * Memory is compared from the first third on: until then sessions are made and V8's heap finds its size. That takes some
 * 30,000 requests; a shorter run finds large leaks only. Garbage that waits for its collection moves the memory of a moment
 * up and down by a hundred MiB, so medians are compared: of the second third of the run, and of the last one.
 */
export async function steadyMemory(requests: number): Promise<Figure> {
  await using server = await serve();
  const manifest = await manifestOf();
  const frames = ['stem_b', 'neck0', 'neck1', 'neck2'].map((cut) => featureFrame(manifest, cut));
  const idle = server.usage().files;
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  let failed = 0;
  const run = (count: number) =>
    eachOf(count, 8, async (i) => {
      const { status } = await infer(agent, server.port, frames[i % frames.length]!);
      if (status !== 200) failed++;
    });
  const third = async () => {
    const samples: number[] = [];
    const timer = setInterval(() => samples.push(server.usage().rss), SAMPLE_MS);
    await run(Math.ceil(requests / 3));
    clearInterval(timer);
    return samples;
  };
  await third();
  const [second, last] = [await third(), await third()];
  agent.destroy();
  const before = percentile(second, 0.5);
  // Threads keep a few files of their own once they have started.
  const started = 24;
  const files = await filesBack(server, idle + started, 10_000);
  const grown = percentile(last, 0.5) - before;
  const mib = (bytes: number) => (bytes / MIB).toFixed(0);
  const sound = grown < LEAK_MIB * MIB && failed === 0 && files <= idle + started;
  return {
    id: 'S4',
    promise: `soak of ${requests} requests`,
    reach: 'RSS growth < 5 % or 32 MB, handles back',
    measured: `${(grown / MIB).toFixed(1)} MiB on ${mib(before)} MiB (${mib(Math.min(...second))}–${mib(Math.max(...second))}, then ${mib(Math.min(...last))}–${mib(Math.max(...last))}), ${failed} failed, open files ${idle} → ${files}`,
    sound,
    kept: sound && (grown < 32 * MIB || grown < 0.05 * before),
  };
}
