// S4: many requests in one run; memory and open files must end where they began.
import { Agent } from 'node:http';
import type { Figure } from './figure.ts';
import { eachOf, featureFrame, infer } from './requests.ts';
import { filesBack, manifestOf, serve } from './server.ts';

const MIB = 1024 * 1024;
/** Beyond this it is a leak however short the run was. */
const LEAK_MIB = 96;

/**
 * Memory is compared after the first third: until then sessions are made and V8's heap finds its size. That takes some
 * 30,000 requests; a shorter run finds large leaks only.
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
  await run(Math.ceil(requests / 3));
  const before = server.usage().rss;
  await run(requests - Math.ceil(requests / 3));
  const after = server.usage().rss;
  agent.destroy();
  // Threads keep a few files of their own once they have started.
  const started = 24;
  const files = await filesBack(server, idle + started, 10_000);
  const grown = after - before;
  const sound = grown < LEAK_MIB * MIB && failed === 0 && files <= idle + started;
  return {
    id: 'S4',
    promise: `soak of ${requests} requests`,
    reach: `RSS growth < 5 % or 32 MB, handles back`,
    measured: `${(grown / MIB).toFixed(1)} MiB on ${(before / MIB).toFixed(0)} MiB, ${failed} failed, open files ${idle} → ${files}`,
    sound,
    kept: sound && (grown < 32 * MIB || grown < 0.05 * before),
  };
}
