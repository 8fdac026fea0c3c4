// S2: a thousand clients that send headers byte by byte and hundreds that dawdle over bodies, while healthy ones ask.
import { Agent } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { FRAME_TYPE } from '../../src/wire/layout.ts';
import type { Figure } from './figure.ts';
import { eachOf, featureFrame, infer, percentile } from './requests.ts';
import { manifestOf, serve } from './server.ts';

export async function slowClients(slowHeaders: number, slowBodies: number, healthy: number): Promise<Figure> {
  await using server = await serve();
  const frame = featureFrame(await manifestOf(), 'neck1');
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  const measure = async () => {
    const times: number[] = [];
    let failed = 0;
    await eachOf(healthy, 2, async () => {
      const { status, ms } = await infer(agent, server.port, frame);
      times.push(ms);
      if (status !== 200) failed++;
    });
    return { p95: percentile(times, 0.95), failed };
  };
  await measure(); // sessions are made
  const alone = await measure();
  const head = `POST /models/neck10/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${FRAME_TYPE}\r\n`;
  const sockets: Socket[] = [];
  const dawdle = (start: string) => {
    const socket = createConnection(server.port, '127.0.0.1', () => socket.write(start));
    socket.on('error', () => undefined);
    sockets.push(socket);
  };
  for (let i = 0; i < slowHeaders; i++) dawdle(head.slice(0, 20 + (i % 60)));
  for (let i = 0; i < slowBodies; i++) dawdle(`${head}content-length: 100000\r\n\r\n`);
  const drip = setInterval(() => {
    for (const [i, socket] of sockets.entries())
      if (i % 20 === tick % 20 && socket.writable) socket.write('x');
    tick++;
  }, 50);
  let tick = 0;
  await new Promise((resolve) => setTimeout(resolve, 1000)); // all of them are connected
  const beside = await measure();
  const held = sockets.filter((s) => !s.destroyed).length;
  clearInterval(drip);
  for (const socket of sockets) socket.destroy();
  agent.destroy();
  const ratio = beside.p95 / alone.p95;
  return {
    id: 'S2',
    promise: `${slowHeaders} slow headers and ${slowBodies} slow bodies, ${healthy} healthy requests`,
    reach: 'healthy p95 ≤ 2×',
    measured: `${ratio.toFixed(2)}× (${alone.p95.toFixed(1)} → ${beside.p95.toFixed(1)} ms), ${beside.failed} failed, ${held} still dawdling`,
    sound: beside.failed === 0 && held > 0,
    kept: ratio <= 2 && beside.failed === 0 && held > 0,
  };
}
