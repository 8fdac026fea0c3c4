// Messages and datagrams: what is written is read again however it is chopped, lost or mixed; nothing else is accepted.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Assembly, cutMessage, readDatagram } from './datagram.ts';
import { MESSAGE_TYPES, MessageReader, readMessage, writeMessage } from './message.ts';

const bodies = fc.uint8Array({ maxLength: 5000 });
const messages = fc.record({
  type: fc.constantFrom(...MESSAGE_TYPES),
  id: fc.nat(0xffffffff),
  urgency: fc.nat(7),
  more: fc.boolean(),
  deadlineMs: fc.nat(0xffffffff),
  body: bodies,
});
type Made = typeof messages extends fc.Arbitrary<infer T> ? T : never;
const write = ({ type, id, ...rest }: Made) => writeMessage(type, id, rest);

test('a stream of messages survives any chopping', () => {
  fc.assert(
    fc.property(
      fc.array(messages, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 3000 })),
      (all, steps) => {
        const stream = Buffer.concat(all.map(write));
        const reader = new MessageReader();
        const read = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const step = steps[i % Math.max(1, steps.length)] ?? 700;
          read.push(...reader.push(stream.subarray(at, at + step)));
          at += step;
        }
        expect(read.map((m) => ({ ...m, body: [...m.body] }))).toEqual(
          all.map((m) => ({ ...m, body: [...m.body] })),
        );
        expect(reader.pending).toBe(0);
      },
    ),
  );
});

test('the message of FORMAT.md, byte for byte', () => {
  const bytes = writeMessage('request', 0x01020304, {
    urgency: 1,
    deadlineMs: 300,
    body: Uint8Array.of(0xab),
  });
  expect(Buffer.from(bytes).toString('hex')).toBe('1100000002010000040302012c010000ab');
});

test('what is not one message is refused', () => {
  const good = writeMessage('request', 7, { body: new Uint8Array(20) });
  for (const [at, value] of [
    [0, 99],
    [4, 11],
    [4, 255],
    [5, 16],
    [6, 1],
    [7, 1],
  ] as const) {
    const bad = good.slice();
    bad[at] = value;
    expect(() => readMessage(bad), `${at} = ${value}`).toThrow(
      expect.objectContaining({ code: 'FRAME_INVALID' }),
    );
  }
  for (let n = 0; n < good.length; n++)
    expect(() => readMessage(good.subarray(0, n))).toThrow(
      expect.objectContaining({ code: 'FRAME_INVALID' }),
    );
});

test('the reader refuses a length that is too small or above its limit before it takes memory', () => {
  const announce = (length: number) => new Uint8Array(Uint32Array.of(length).buffer);
  expect(() => new MessageReader(1000).push(announce(1001))).toThrow(
    expect.objectContaining({ code: 'TOO_LARGE' }),
  );
  expect(() => new MessageReader(1000).push(announce(15))).toThrow(
    expect.objectContaining({ code: 'FRAME_INVALID' }),
  );
  expect(() => new MessageReader().push(announce(0xffffffff))).toThrow(
    expect.objectContaining({ code: 'TOO_LARGE' }),
  );
});

test('datagrams in any order, some twice, make the message again; the missing are named', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 20_000 }),
      fc.integer({ min: 13, max: 1200 }),
      fc.infiniteStream(fc.nat()),
      (message, size, order) => {
        const datagrams = cutMessage(9, message, size)!;
        expect(Math.max(...datagrams.map((d) => d.length))).toBeLessThanOrEqual(size);
        const shuffled = datagrams
          .map((d) => [order.next().value as number, d] as const)
          .sort((a, b) => a[0] - b[0])
          .map(([, d]) => readDatagram(d));
        const assembly = new Assembly(shuffled[0]!);
        const late = shuffled.pop()!;
        for (const fragment of [...shuffled, ...shuffled]) assembly.add(fragment);
        expect(assembly.complete).toBe(false);
        expect(assembly.missing(10)).toEqual([late.index]);
        assembly.add(late);
        expect(assembly.complete).toBe(true);
        expect(assembly.join()).toEqual(message);
      },
    ),
  );
});

test('datagrams that cannot be are refused; too many pieces are not cut', () => {
  const [first] = cutMessage(1, new Uint8Array(3000), 1200)!;
  const view = new DataView(first!.buffer);
  view.setUint16(4, 3, true);
  expect(() => readDatagram(first!)).toThrow(expect.objectContaining({ code: 'FRAME_INVALID' }));
  view.setUint16(4, 0, true);
  view.setUint32(8, 0xffffffff, true);
  expect(() => readDatagram(first!)).toThrow(expect.objectContaining({ code: 'FRAME_INVALID' }));
  expect(() => readDatagram(new Uint8Array(12))).toThrow(expect.objectContaining({ code: 'FRAME_INVALID' }));
  expect(cutMessage(1, new Uint8Array(200_000), 14)).toBeUndefined();
});
