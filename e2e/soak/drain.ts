// S7: SIGTERM under load. Whatever had begun is answered, /readyz says 503 at once, and the process ends in time.
import { Agent } from 'node:http';
import type { Figure } from './figure.ts';
import { featureFrame, infer, send } from './requests.ts';
import { manifestOf, serve } from './server.ts';

const GRACE_S = 10;

export async function drainUnderLoad(clients: number): Promise<Figure> {
  await using server = await serve(undefined, ['--grace', String(GRACE_S)]);
  const frame = featureFrame(await manifestOf(), 'neck0');
  const agent = new Agent({ keepAlive: true });
  const probe = new Agent({ keepAlive: true });
  let stopping = false;
  let answered = 0;
  let refusedEarly = 0;
  let failed = 0;
  const client = async () => {
    for (let status = 200; status === 200; ) {
      const early = !stopping;
      ({ status } = await infer(agent, server.port, frame));
      if (status === 200) answered++;
      // Sent before the signal and arrived behind it: told so in order. Cut off without a word is what must not be.
      else if (early && status === 503) refusedEarly++;
      else if (early) failed++;
    }
  };
  await send(probe, server.port, { path: '/readyz' });
  const clientsDone = Array.from({ length: clients }, client);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const before = answered;
  stopping = true;
  const signalled = performance.now();
  const stopped = server.stop();
  // Asked on a connection that is open already: new ones may be refused.
  let ready = 200;
  while (ready === 200 && performance.now() - signalled < 2000) {
    ready = (await send(probe, server.port, { path: '/readyz' })).status;
  }
  const turned = performance.now() - signalled;
  const { code, ms } = await stopped;
  await Promise.all(clientsDone);
  agent.destroy();
  probe.destroy();
  // 0: the last connection had closed already, which says "not ready" as well as 503 does.
  const refused = ready === 503 || ready === 0;
  const sound = failed === 0 && before > 0 && refused && code === 0 && ms < GRACE_S * 1000;
  return {
    id: 'S7',
    promise: `SIGTERM with ${clients} clients under way (${before} answers before)`,
    reach: '0 failed in flight, /readyz 503 at once, exit inside the grace time',
    measured: `${failed} failed, ${refusedEarly} told 503, /readyz ${ready} after ${turned.toFixed(0)} ms, exit ${code} after ${ms.toFixed(0)} ms`,
    sound,
    kept: sound,
  };
}
