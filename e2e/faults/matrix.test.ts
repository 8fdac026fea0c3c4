// The fault matrix: every row of faults.json as a real run of a real client against a real tail through the proxies. What a
// row promises is checked here; rows that are driven elsewhere must name files that exist.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Result } from '../../src/client/resultTypes.ts';
import type { Mode, RunOptions, Session } from '../../src/client/types.ts';
import { manifestId } from '../../src/model/manifest.ts';
import { type FaultBench, faultBench } from './bench.ts';
import matrix from './faults.json' with { type: 'json' };
import { HEALTHY } from './link.ts';

type Row = (typeof matrix.driven)[number];
type Choice = 'auto' | 'fetch' | 'websocket' | 'webtransport';

/** How a driven row goes wrong: before connecting, before the run, or while it is under way. */
interface Fault {
  start?(bench: FaultBench, row: Row): void;
  idle?(bench: FaultBench, row: Row): void | Promise<void>;
  /** After `run` was called. */
  request?(bench: FaultBench, row: Row): void | Promise<void>;
  options?: RunOptions;
}

/** A way there and back takes this long, so that "while it is under way" is a time and not a race. */
const SLOW = { latencyMs: 120 };
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const BLACKHOLE_MS = process.env.ISTHMUS_ENDURANCE ? 10_000 : 2000;
const blocked = { udp: { blackhole: true } };
let controller: AbortController;
let wasted: number;

const FAULTS: Record<string, Fault> = {
  'server unreachable': {
    start: (bench) => bench.set({ refuse: true }),
    idle: (bench) => {
      bench.set({ refuse: true });
      bench.tcp.cut();
    },
    // A link that is only silent needs a second to be given up.
    options: { deadlineMs: 20_000 },
  },
  'link cut': {
    idle: (bench, { phase }) => {
      if (phase === 'idle') bench.tcp.cut();
      if (phase === 'request') bench.set(SLOW);
      if (phase === 'reply') bench.tcp.cutAfter(40);
    },
    request: async ({ tcp, udp }, { phase }) => {
      if (phase !== 'request') return;
      await pause(60);
      tcp.cut();
      udp.set({ blackhole: true }); // there is no reset for datagrams
      await pause(200);
      tcp.set(HEALTHY);
      udp.set(HEALTHY);
    },
  },
  stall: {
    request: (bench) => bench.set({ blackhole: true }),
    idle: (bench) => bench.set(SLOW),
    options: { deadlineMs: 900 },
  },
  'flipped bit': { idle: ({ tcp }) => tcp.flipAt(wasted) },
  '5 % loss, 500 ms jitter': { idle: (bench) => bench.set({ loss: 0.05, jitterMs: 500 }) },
  '20 % loss': { idle: (bench) => bench.set({ loss: 0.2, latencyMs: 10 }) },
  'WebTransport blocked': {
    start: ({ udp }) => udp.set(blocked.udp),
    idle: ({ udp }, { phase }) => udp.set(phase === 'idle' ? blocked.udp : {}),
  },
  'WebTransport and WebSocket blocked': { start: ({ udp }) => udp.set(blocked.udp) },
  abort: { idle: (bench) => bench.set(SLOW), request: () => pause(150).then(() => controller.abort()) },
  'another model version': { idle: otherVersion },
  'blackhole of 2 s (long form: 10 s)': {
    idle: (bench) => bench.set(SLOW),
    request: async (bench) => {
      bench.set({ blackhole: true });
      await pause(BLACKHOLE_MS);
      bench.set({ blackhole: false });
    },
    options: { deadlineMs: 30_000 },
  },
};

let bench: FaultBench;
let manifestText: string;
beforeAll(async () => {
  bench = await faultBench();
  manifestText = await readFile(bench.model.path('manifest.json'), 'utf8');
});
afterAll(() => bench?.[Symbol.asyncDispose]());
let session: Session | undefined;
/** What a transport learnt of an origin in one row must not help it in the next. */
async function anew(): Promise<void> {
  await bench[Symbol.asyncDispose]();
  bench = await faultBench();
}
afterEach(async () => {
  bench.set(HEALTHY);
  await session?.close();
  session = undefined;
  if ((await readFile(bench.model.path('manifest.json'), 'utf8')) === manifestText) return;
  await writeFile(bench.model.path('manifest.json'), manifestText);
  await bench.tail.reload();
});

const logits = ({ outputs }: Result) => Array.from(Object.values(outputs)[0]!.data as Float32Array);

describe.each(matrix.driven)('$fault, $transport, $phase, $mode', (row) => {
  test(row.outcome, async () => {
    const fault = FAULTS[row.fault]!;
    const transport = row.transport as Choice;
    if (transport === 'auto') await anew();
    const socketsBlocked = row.fault.includes('WebSocket blocked');
    const { WebSocket } = globalThis;
    if (socketsBlocked) globalThis.WebSocket = BlockedWebSocket as never;
    try {
      if (row.phase === 'start') fault.start?.(bench, row);
      const opening = bench.connect({ mode: row.mode as Mode, cut: 'r1', codec: 'raw', transport });
      if (row.phase === 'start' && row.outcome === 'OFFLINE') {
        await expect(opening).rejects.toMatchObject({ code: 'OFFLINE' });
        return;
      }
      session = await opening;
      await drive(session, fault, row, transport);
    } finally {
      globalThis.WebSocket = WebSocket;
    }
  });
});

async function drive(session: Session, fault: Fault, row: Row, transport: Choice): Promise<void> {
  const before = performance.now();
  const first = row.phase === 'start' ? undefined : await session.run(bench.photo);
  // Whoever is to answer here needs all of the model here.
  if (first && row.outcome === 'local') await session.run(bench.photo, { mode: 'only-local' });
  if (first && transport === 'auto') {
    // The link opens beside the first request; the fault is to meet the link.
    await expect
      .poll(async () => (await session.run(bench.photo)).report.transport, { timeout: 15_000 })
      .toBe('webtransport');
  }
  const carried = first && (await session.run(bench.photo)).report.transport;
  const down = bench.tcp.bytes.down;
  const whole = first && (await session.run(bench.photo));
  // Inside the last bytes of the next reply: its payload, not the headers around it.
  wasted = bench.tcp.bytes.down + (bench.tcp.bytes.down - down) - 6;
  if (row.phase !== 'start') await fault.idle?.(bench, row);
  controller = new AbortController();
  const began = performance.now();
  const running = session.run(bench.photo, { ...fault.options, signal: controller.signal });
  const settled = running.then(
    (result) => ({ result, after: performance.now() }),
    (error: unknown) => ({ error, after: performance.now() }),
  );
  if (row.phase !== 'start') await fault.request?.(bench, row);
  const told = performance.now();
  const end = await settled;
  if (row.outcome === 'AbortError') {
    expect(end).toMatchObject({ error: { name: 'AbortError' } });
    expect(end.after - told).toBeLessThan(50);
    return stillGood(session, whole!);
  }
  if (row.outcome === 'DEADLINE_EXCEEDED') {
    expect(end).toMatchObject({ error: { code: 'DEADLINE_EXCEEDED' } });
    expect(end.after - began).toBeLessThan(fault.options!.deadlineMs! + 250);
    return stillGood(session, whole!);
  }
  if (row.outcome === 'OFFLINE') {
    expect(end).toMatchObject({ error: { code: 'OFFLINE' } });
    return;
  }
  if (!('result' in end)) throw end.error;
  const { report } = end.result;
  if (row.outcome === 'local') {
    expect(report).toMatchObject({
      ran: 'local',
      degraded: expect.stringMatching(/^(OFFLINE|MODEL_MISMATCH|NOT_ISTHMUS|STALL): /),
    });
  } else {
    expect(report).toMatchObject({ ran: 'split' });
    expect(report.degraded).toBeUndefined();
  }
  if (row.outcome === 'another') {
    expect(report.transport).not.toBe(carried ?? 'webtransport');
    if (row.phase === 'start') expect(performance.now() - before).toBeLessThan(2000);
  }
  if (row.outcome === 'answered' && transport !== 'auto') expect(report.transport).toBe(transport);
  const good = whole ?? end.result;
  for (const [i, x] of logits(end.result).entries()) expect(x).toBeCloseTo(logits(good)[i]!, 3);
  if (row.outcome !== 'local') await stillGood(session, good);
}

/** Whatever happened, the next request over a good link is answered, and with its own answer. */
async function stillGood(session: Session, good: Result): Promise<void> {
  bench.set(HEALTHY);
  const { report, outputs } = await session.run(bench.photo, { deadlineMs: 20_000 });
  expect(report.ran).toBe('split');
  expect(Array.from(Object.values(outputs)[0]!.data as Float32Array)).toEqual(logits(good));
}

/** Replaces the served model by one with the same cuts and another identity, as a new training would. */
async function otherVersion({ model, tail }: FaultBench): Promise<void> {
  const manifest = JSON.parse(manifestText) as typeof model.manifest;
  // The first two segments stay, the last one is the middle one's twin with other bytes: an ignored trailing field.
  const last = manifest.segments.at(-1)!;
  const bytes = await readFile(model.path(last.file));
  // Field 100 of ModelProto, a varint: unknown to every reader, so the graph is the same and the hash another.
  const changed = Buffer.concat([bytes, Buffer.from([0xa0, 0x06, 0x01])]);
  const { createHash } = await import('node:crypto');
  last.file = 'other.onnx';
  last.bytes = changed.length;
  last.sha256 = createHash('sha256').update(changed).digest('hex');
  await writeFile(model.path('other.onnx'), changed);
  await writeFile(
    model.path('manifest.json'),
    JSON.stringify({ ...manifest, id: await manifestId(manifest) }),
  );
  await tail.reload();
}

/** What a firewall that knows no WebSocket looks like to a client. */
class BlockedWebSocket extends EventTarget {
  binaryType = 'blob';
  readyState = 3;
  constructor() {
    super();
    setTimeout(() => {
      this.dispatchEvent(new Event('error'));
      this.dispatchEvent(Object.assign(new Event('close'), { code: 1006 }));
    }, 5);
  }
  send(): void {}
  close(): void {}
}

test('rows that are driven elsewhere name files that exist', () => {
  const root = join(import.meta.dirname, '../..');
  for (const { test: file } of matrix.elsewhere) expect(existsSync(join(root, file)), file).toBe(true);
});
