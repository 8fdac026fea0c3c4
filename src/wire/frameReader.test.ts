// The stream reader under every chopping: one byte at a time, all at once, anything between; and what it says of streams
// that lie, break off or are no streams of frames.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IsthmusError } from '../errors.ts';
import { type ByteSource, FrameReader } from './frameReader.ts';
import type { Frame } from './layout.ts';
import { readTokenFrame, writeTokenFrame } from './tokenFrame.ts';
import { writeFrame } from './writeFrame.ts';

const frame = (bytes: number, meta: Frame['meta'] = {}) =>
  writeFrame({
    kind: 'request',
    modelTag: '0123456789abcdef',
    cut: 1,
    meta,
    tensors: [
      {
        family: 'raw',
        dtype: 'uint8',
        shape: [bytes],
        flags: 0,
        params: new Uint8Array(0),
        payload: Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + bytes) & 255),
      },
    ],
  });
const empty = writeFrame({ kind: 'error', modelTag: '0'.repeat(16), cut: 0, meta: {}, tensors: [] });
const place = (sequence: number) => ({ context: 5, opening: 0xdeadbeef, sequence });
const token = (sequence: number, bytes: number) =>
  writeTokenFrame(place(sequence), { same: true, body: new Uint8Array(bytes).fill(sequence) });
const mixed = [
  frame(0),
  token(1, 0),
  token(2, 300),
  frame(5000),
  empty,
  token(3, 65535),
  frame(7, { a: 'é' }),
];
const joined = (parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const fails = (code: string, message = /./) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

async function* chopped(bytes: Uint8Array, sizes: Iterable<number>): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  if (at < bytes.length) yield bytes.subarray(at);
}

async function collect(source: ByteSource): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  for await (const one of FrameReader.over(source)) frames.push(one);
  return frames;
}

describe('whole frames out of a stream', () => {
  test('however it is chopped', async () => {
    const bytes = joined(mixed);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(fc.nat(3), fc.nat(50), fc.nat(70_000))), async (sizes) => {
        expect(await collect(chopped(bytes, sizes))).toEqual(mixed);
      }),
      { numRuns: 200 },
    );
  });

  test('one byte at a time', () => {
    const reader = new FrameReader();
    const got = [...joined(mixed)].flatMap((byte) => reader.push(Uint8Array.of(byte)));
    reader.end();
    expect(got).toEqual(mixed);
  });

  test('from the body of a Response and from a Node stream', async () => {
    const { Readable } = await import('node:stream');
    const bytes = joined(mixed);
    const halves = () => chopped(bytes, [3000]);
    expect(await collect(new Response(bytes).body!)).toEqual(mixed);
    expect(await collect(Readable.from(halves()))).toEqual(mixed);
  });

  test('a frame does not share memory with the chunk', () => {
    const chunk = frame(100).slice();
    const [got] = new FrameReader().push(chunk);
    chunk.fill(0);
    expect(got).toEqual(frame(100));
    expect(got!.buffer.byteLength).toBe(got!.length);
  });

  test('none out of nothing', async () => {
    expect(await collect(chopped(new Uint8Array(0), []))).toEqual([]);
    new FrameReader().end();
  });
});

describe('time and memory', () => {
  test('a megabyte in single bytes takes no time worth mentioning', () => {
    const stream = frame(1 << 20);
    const reader = new FrameReader();
    const began = performance.now();
    let got = 0;
    for (let i = 0; i < stream.length; i++) got += reader.push(stream.subarray(i, i + 1)).length;
    const ms = performance.now() - began;
    console.info(`1 MiB in single bytes: ${ms.toFixed(0)} ms`);
    expect(got).toBe(1);
    expect(ms).toBeLessThan(5000); // copying all that came with every byte would take minutes
  });

  test('a header that promises 64 MiB allocates nothing until they come', () => {
    const header = frame(8).slice(0, 40);
    new DataView(header.buffer).setUint32(8, 64 << 20, true);
    const readers = Array.from({ length: 100 }, () => new FrameReader());
    const before = process.memoryUsage().arrayBuffers;
    for (const reader of readers) expect(reader.push(header)).toEqual([]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 1024);
    const [one] = readers;
    for (let i = 0; i < 1024; i++) one!.push(new Uint8Array(1024));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20); // dead buffers among them
  });
});

describe('errors', () => {
  const push = (...chunks: Uint8Array[]) => {
    const reader = new FrameReader({ frameBytes: 4096 });
    for (const chunk of chunks) reader.push(chunk);
    reader.end();
  };
  const changed = (at: number, value: number) => {
    const bytes = frame(9).slice();
    bytes[at] = value;
    return bytes;
  };

  test.each<[string, string, Uint8Array]>([
    ['another first byte', 'FRAME_INVALID', Uint8Array.of(0)],
    ['a token tag of the wrong parity', 'FRAME_INVALID', Uint8Array.of(0xe0)],
    ['another magic', 'FRAME_INVALID', changed(3, 0x49)],
    ['another version', 'FRAME_VERSION', changed(4, 2)],
    ['a length above the limit', 'TOO_LARGE', changed(10, 1)],
    ['a token above the limit', 'TOO_LARGE', token(1, 5000)],
    ['a length below a header', 'FRAME_INVALID', changed(8, 31)],
  ])('%s: %s', (_, code, bytes) => {
    expect(() => push(bytes)).toThrowError(fails(code));
  });

  test('every truncation of a stream is told at its end, with the frames before it', async () => {
    const stream = joined([frame(3), token(1, 4)]);
    const first = frame(3).length;
    for (let n = 1; n < stream.length; n++) {
      const got: Uint8Array[] = [];
      const run = (async () => {
        for await (const one of FrameReader.over(chopped(stream.subarray(0, n), [5]))) got.push(one);
      })();
      if (n === first) await run;
      else await expect(run).rejects.toThrowError(fails('FRAME_INVALID', /ended after/));
      expect(got.length).toBe(n < first ? 0 : 1);
    }
  });

  test('good frames before an error are not lost, and the error stays', () => {
    const reader = new FrameReader();
    expect(reader.push(joined([frame(3), frame(4), Uint8Array.of(0)]))).toEqual([frame(3), frame(4)]);
    expect(() => reader.push(frame(5))).toThrowError(fails('FRAME_INVALID', /begins/));
    expect(() => reader.push(frame(5))).toThrowError(fails('FRAME_INVALID', /begins/));
    expect(() => reader.end()).toThrowError(fails('FRAME_INVALID', /begins/));
  });

  test('an end inside a frame stays too', () => {
    const reader = new FrameReader();
    reader.push(frame(9).subarray(0, 50));
    expect(() => reader.end()).toThrowError(fails('FRAME_INVALID', /50 of/));
    expect(() => reader.push(frame(9).subarray(50))).toThrowError(fails('FRAME_INVALID', /50 of/));
  });

  test('text is no stream of bytes', () => {
    expect(() => new FrameReader().push('ISTH' as never)).toThrowError(fails('INPUT_INVALID'));
    expect(() => new FrameReader().push(new Uint16Array(4) as never)).toThrowError(fails('INPUT_INVALID'));
  });

  test('a response without a body, or the response itself, is no stream', async () => {
    for (const source of [new Response(null).body, new Response('x'), undefined]) {
      const frames = FrameReader.over(source as unknown as ByteSource);
      await expect(frames.next()).rejects.toThrowError(fails('INPUT_INVALID', /response\.body/));
    }
  });

  test('a stream that is left, or that is wrong, is cancelled; its own error passes through', async () => {
    let cancelled = 0;
    const endless = (chunk: Uint8Array) =>
      new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(chunk),
        cancel: () => void cancelled++,
      });
    for await (const one of FrameReader.over(endless(frame(3)))) {
      expect(one).toEqual(frame(3));
      break;
    }
    expect(cancelled).toBe(1);
    await expect(collect(endless(Uint8Array.of(1, 2, 3)))).rejects.toThrowError(fails('FRAME_INVALID'));
    expect(cancelled).toBe(2);
    const broken = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new TypeError('the cable is out')),
    });
    await expect(collect(broken)).rejects.toThrowError(new TypeError('the cable is out'));
  });
});

test('a flipped bit in a token header never passes for the same frame', () => {
  const good = token(9, 20);
  for (let bit = 0; bit < 8 * good.length; bit++) {
    const bytes = good.slice();
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    let code = 'read';
    try {
      const reader = new FrameReader();
      const [got] = reader.push(bytes);
      reader.end();
      readTokenFrame(place(9), got!);
    } catch (e) {
      if (!(e instanceof IsthmusError)) throw e;
      code = e.code;
    }
    if (!['FRAME_INVALID', 'FRAME_CORRUPT'].includes(code)) expect.fail(`bit ${bit}: ${code}`);
  }
});
