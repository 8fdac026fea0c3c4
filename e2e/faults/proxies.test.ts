// The proxies themselves: a healthy one changes nothing, and each fault does what it says. Real sockets.
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { type AddressInfo, createConnection, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tcpProxy } from './tcpProxy.ts';
import { udpProxy } from './udpProxy.ts';

let echo: Server;
let port: number;
beforeEach(async () => {
  echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  port = (echo.address() as AddressInfo).port;
});
afterEach(() => new Promise((resolve) => echo.close(resolve)));

interface Seen {
  bytes: Buffer;
  error: string | undefined;
  ms: number;
}

/** Sends, half-closes, and reads until the other side ends. */
function exchange(through: number, payload: Buffer): Promise<Seen> {
  const began = performance.now();
  const parts: Buffer[] = [];
  let error: string | undefined;
  return new Promise((resolve) => {
    const socket = createConnection({ port: through, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('data', (chunk) => parts.push(chunk));
    socket.on('end', () => socket.destroy());
    socket.on('error', (thrown: NodeJS.ErrnoException) => {
      error = thrown.code;
    });
    socket.on('close', () => resolve({ bytes: Buffer.concat(parts), error, ms: performance.now() - began }));
    socket.end(payload);
  });
}
const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

test('a healthy link changes nothing, also not a megabyte', async () => {
  await using proxy = await tcpProxy(port);
  const payload = randomBytes(1 << 20);
  const { bytes, error } = await exchange(proxy.port, payload);
  expect(error).toBeUndefined();
  expect(sha(bytes)).toBe(sha(payload));
  expect(proxy.bytes).toEqual({ up: 1 << 20, down: 1 << 20 });
});

test('delay, jitter, loss and a narrow pipe keep the bytes and their order', async () => {
  await using proxy = await tcpProxy(port);
  proxy.set({ latencyMs: 20, jitterMs: 30, loss: 0.02, bytesPerSecond: 400_000 });
  const payload = randomBytes(100_000);
  const { bytes, ms } = await exchange(proxy.port, payload);
  expect(sha(bytes)).toBe(sha(payload));
  expect(ms).toBeGreaterThan(250); // 100 kB at 400 kB/s
});

test('a connection cut after so many bytes ends in a reset with exactly those', async () => {
  await using proxy = await tcpProxy(port);
  proxy.cutAfter(5000);
  const payload = randomBytes(20_000);
  const { bytes, error } = await exchange(proxy.port, payload);
  expect(error).toBe('ECONNRESET');
  expect(bytes.equals(payload.subarray(0, bytes.length))).toBe(true);
  expect(bytes.length).toBeLessThanOrEqual(5000);
  expect((await exchange(proxy.port, payload)).bytes.equals(payload)).toBe(true); // only the one
});

test('one flipped bit', async () => {
  await using proxy = await tcpProxy(port);
  proxy.flipAt(777);
  const payload = randomBytes(2000);
  const { bytes } = await exchange(proxy.port, payload);
  const changed = [...bytes].map((b, i) => b ^ payload[i]!).flatMap((d, i) => (d ? [[i, d]] : []));
  expect(changed).toHaveLength(1);
  expect(changed[0]![0]).toBe(777);
});

test('refused, cut, and a blackhole that opens again', async () => {
  await using proxy = await tcpProxy(port);
  proxy.set({ refuse: true });
  expect((await exchange(proxy.port, randomBytes(10))).error).toMatch(/ECONNRESET|EPIPE/);
  proxy.set({ refuse: false, blackhole: true });
  const payload = randomBytes(3000);
  const held = exchange(proxy.port, payload);
  await expect.poll(() => proxy.open).toBe(1);
  const early = await Promise.race([held, new Promise((resolve) => setTimeout(resolve, 100, 'held'))]);
  expect(early).toBe('held');
  proxy.set({ blackhole: false });
  expect((await held).bytes.equals(payload)).toBe(true);
  proxy.set({ blackhole: true });
  const lost = exchange(proxy.port, payload);
  await expect.poll(() => proxy.open).toBe(1);
  expect(proxy.cut()).toBe(1);
  expect((await lost).error).toBe('ECONNRESET');
});

test('datagrams: all of them on a healthy link; lost, doubled and overtaken on a bad one', async () => {
  const tail = createSocket('udp4');
  tail.on('message', (packet, from) => tail.send(packet, from.port, from.address));
  await new Promise<void>((resolve) => tail.bind(0, '127.0.0.1', resolve));
  await using proxy = await udpProxy(tail.address().port, { seed: 7 });
  const client = createSocket('udp4');
  const round = async (count: number) => {
    const seen: number[] = [];
    const take = (packet: Buffer) => seen.push(packet.readUInt32LE());
    client.on('message', take);
    for (let i = 0; i < count; i++) {
      const packet = Buffer.alloc(100);
      packet.writeUInt32LE(i);
      client.send(packet, proxy.port, '127.0.0.1');
      if (i % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await new Promise((resolve) => setTimeout(resolve, 400));
    client.off('message', take);
    return seen;
  };
  expect(await round(100)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  proxy.set({ loss: 0.2, duplicate: 0.1, latencyMs: 5, jitterMs: 40 });
  const seen = await round(400);
  const distinct = new Set(seen).size;
  expect(distinct).toBeGreaterThan(180); // 0.8 × 0.8 of them, and a little for the doubled
  expect(distinct).toBeLessThan(340);
  expect(seen.length).toBeGreaterThan(distinct);
  expect(seen.some((n, i) => i > 0 && n < seen[i - 1]!)).toBe(true);
  client.close();
  tail.close();
});
