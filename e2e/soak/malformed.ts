// S1: requests that are wrong in every way HTTP allows and in some it does not. No answer may be a 5xx, and each has to be
// the 4xx that says what was wrong.
import { Agent } from 'node:http';
import { createConnection } from 'node:net';
import { FRAME_TYPE } from '../../src/wire/layout.ts';
import { seeded } from '../faults/link.ts';
import type { Figure } from './figure.ts';
import { eachOf, featureFrame, send } from './requests.ts';
import { manifestOf, serve } from './server.ts';

interface Wrong {
  what: string;
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  /** Statuses that tell the truth about it. */
  right: readonly number[];
}

/** Texts that Node's own HTTP parser or the tail must refuse, sent as they are. */
const RAW: readonly [text: string, right: readonly number[]][] = [
  ['GET / HTTP/9.9\r\nhost: localhost\r\n\r\n', [400, 505]],
  ['GET\r\n\r\n', [400]],
  ['\u0000\u0001\u0002\u0003\r\n\r\n', [400]],
  ['GET /models HTTP/1.1\r\n\r\n', [400]],
  ['GET /models HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n', [400]],
  ['GET /models HTTP/1.1\r\nhost: [\r\n\r\n', [400]],
  [`GET /models HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`, [431]],
  ['POST /models/neck10/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n', [400]],
  [
    'POST /models/neck10/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n',
    [400],
  ],
  [
    'POST /models/neck10/infer HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
    [400, 415],
  ],
];

export async function malformedHttp(requests: number, seed = 1): Promise<Figure> {
  await using server = await serve();
  const manifest = await manifestOf();
  const frame = featureFrame(manifest, 'neck1');
  const random = seeded(seed);
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const wrong: Record<string, number> = {};
  let answers5xx = 0;
  const note = (what: string, status: number, right: readonly number[]) => {
    if (status >= 500) answers5xx++;
    if (right.includes(status)) return;
    const key = `${what}: ${status}`;
    wrong[key] = (wrong[key] ?? 0) + 1;
  };
  const raws = Math.ceil(requests / 20);
  await eachOf(requests - raws, 16, async () => {
    const request = draw(random, frame);
    const { status } = await send(agent, server.port, request);
    note(request.what, status, request.right);
  });
  await eachOf(raws, 8, async (i) => {
    const [text, right] = RAW[i % RAW.length]!;
    note(JSON.stringify(text.slice(0, 40)), await rawStatus(server.port, text), right);
  });
  agent.destroy();
  const surprises = Object.entries(wrong);
  const alive = server.process.exitCode === null;
  const sound = answers5xx === 0 && surprises.length === 0 && alive;
  return {
    id: 'S1',
    promise: `malformed HTTP, ${requests} requests over all routes and methods`,
    reach: '0 answers of 5xx, the right 4xx',
    measured: `${answers5xx} of 5xx, ${surprises.length === 0 ? 'all right' : surprises.map(([k, n]) => `${k} (${n}×)`).join('; ')}${alive ? '' : ', the server died'}`,
    sound,
    kept: sound,
  };
}

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'PROPFIND'];
const ROUTES: readonly [path: string, allowed: readonly string[]][] = [
  ['/models', ['GET', 'HEAD']],
  ['/models/neck10/manifest.json', ['GET', 'HEAD']],
  ['/models/neck10/infer', ['POST']],
  ['/healthz', ['GET', 'HEAD']],
  ['/readyz', ['GET', 'HEAD']],
  [`/artifacts/${'0'.repeat(64)}`, ['GET', 'HEAD']],
];

function draw(random: () => number, frame: Uint8Array<ArrayBuffer>): Wrong {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const text = (n: number) => Array.from({ length: n }, () => pick([...'abz019/.%-_~?&='])).join('');
  const infer = (
    what: string,
    body: Uint8Array | string,
    right: readonly number[],
    type = FRAME_TYPE,
  ): Wrong => ({
    what,
    method: 'POST',
    path: '/models/neck10/infer',
    headers: { 'content-type': type },
    body,
    right,
  });
  switch (Math.floor(random() * 10)) {
    case 0: {
      const [path, allowed] = pick(ROUTES);
      const method = pick(METHODS.filter((m) => !allowed.includes(m)));
      return { what: `${method} ${path.slice(0, 20)}`, method, path, right: [405] };
    }
    case 1:
      return {
        what: 'no such path',
        method: pick(['GET', 'POST', 'HEAD']),
        path: `/x${text(20)}`,
        right: [404],
      };
    case 2:
      return {
        what: 'no such model',
        path: `/models/no${text(5).replace(/[/?%]/g, '')}/manifest.json`,
        right: [404],
      };
    case 3:
      return infer(
        'content type',
        frame,
        [415],
        pick(['text/plain', 'application/json', '', 'image/gif', text(9)]),
      );
    case 4:
      return infer('truncated frame', frame.subarray(0, Math.floor(random() * frame.length)), [400]);
    case 5: {
      const damaged = frame.slice();
      damaged[Math.floor(random() * frame.length)]! ^= 1 << Math.floor(random() * 8);
      return infer('flipped bit', damaged, [400, 413]);
    }
    case 6:
      return infer(
        'random bytes',
        Uint8Array.from({ length: 300 }, () => random() * 256),
        [400],
      );
    case 7:
      return infer(
        'no picture',
        Uint8Array.from({ length: 300 }, () => random() * 256),
        [400],
        'image/jpeg',
      );
    case 8:
      return { what: 'artifact', path: `/artifacts/${text(64).replace(/[?/%&=]/g, 'q')}`, right: [404] };
    default:
      return {
        what: 'percent',
        path: `/models/${pick(['%', '%zz', '%00', '%2e%2e%2f', '..%2f', '%ff%fe', 'a%0d%0ab'])}/manifest.json`,
        right: [400, 404],
      };
  }
}

/** Status of the first answer to a text that is no valid request; 0 when the connection was only closed. */
function rawStatus(port: number, text: string): Promise<number> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = createConnection(port, '127.0.0.1', () => socket.write(text, 'latin1'));
    socket.setTimeout(20_000, () => socket.destroy());
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (answer.includes('\r\n')) socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)));
  });
}
