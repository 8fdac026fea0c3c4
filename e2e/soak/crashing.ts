// S5: clients whose connection is reset at a byte drawn by chance, inside headers, bodies and WebSocket messages.
import { randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import { createConnection } from 'node:net';
import { FRAME_TYPE } from '../../src/wire/layout.ts';
import { writeMessage } from '../../src/wire/message.ts';
import { seeded } from '../faults/link.ts';
import type { Figure } from './figure.ts';
import { eachOf, featureFrame, infer } from './requests.ts';
import { filesBack, manifestOf, serve } from './server.ts';

export async function crashingClients(connections: number, seed = 1): Promise<Figure> {
  await using server = await serve();
  const frame = featureFrame(await manifestOf(), 'neck1');
  const random = seeded(seed);
  const agent = new Agent({ keepAlive: true });
  const conversations = [httpPost(frame), webSocket(frame)];
  const crash = (count: number) =>
    eachOf(count, 32, async () => {
      const bytes = conversations[Math.floor(random() * conversations.length)]!;
      await sendAndReset(server.port, bytes.subarray(0, Math.ceil(random() * bytes.length)), random() < 0.5);
    });
  // The first hundreds warm up threads and heap; leaks are what is left after the rest.
  await crash(Math.min(500, connections >> 1));
  await infer(agent, server.port, frame);
  agent.destroy();
  const baseline = await filesBack(server, 0, 2000);
  await crash(connections);
  const files = await filesBack(server, baseline, 15_000);
  const after = new Agent();
  const { status } = await infer(after, server.port, frame);
  after.destroy();
  const rejections = (server.log().match(/unhandled/gi) ?? []).length;
  const { code } = await server.stop();
  const sound = files <= baseline && rejections === 0 && status === 200 && code === 0;
  return {
    id: 'S5',
    promise: `${connections} connections cut at a random byte`,
    reach: '0 leaks, 0 unhandled rejections',
    measured: `open files ${baseline} → ${files}, ${rejections} unhandled, then answered ${status}, stopped with ${code}`,
    sound,
    kept: sound,
  };
}

function httpPost(frame: Uint8Array): Buffer {
  const head = `POST /models/neck10/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${FRAME_TYPE}\r\ncontent-length: ${frame.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), frame]);
}

/** Upgrade, hello and three requests, written at once: RFC 6455 lets a client send before it has read the answer. */
function webSocket(frame: Uint8Array): Buffer {
  const key = randomBytes(16).toString('base64');
  const head = `GET /link HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\nsec-websocket-protocol: isthmus.1\r\n\r\n`;
  const hello = writeMessage('hello', 0, { body: new TextEncoder().encode('{"version":1}') });
  const requests = [1, 2, 3].map((id) => writeMessage('request', id, { body: frame }));
  return Buffer.concat([Buffer.from(head), ...[hello, ...requests].map(masked)]);
}

/** One binary WebSocket frame with a mask of zeros. */
function masked(payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header[0] = 0x82;
  header[1] = 0x80 | 126;
  header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}

function sendAndReset(port: number, bytes: Uint8Array, lingers: boolean): Promise<void> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () =>
      socket.write(bytes, () => setTimeout(() => socket.resetAndDestroy(), lingers ? 5 : 0)),
    );
    socket.on('data', () => undefined);
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
  });
}
