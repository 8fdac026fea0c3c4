// Requests as datagrams over real WebTransport, with pieces left out, doubled, exchanged and never sent; and the bounds on
// what may be half-way.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cutMessage, readDatagram } from '../../wire/datagram.ts';
import { writeMessage } from '../../wire/message.ts';
import { ByteBudget } from '../http/readBody.ts';
import { testModels } from '../testModels.fixture.ts';
import { testCertificate } from '../testTails.fixture.ts';
import { Assemblies } from './assemblies.ts';
import {
  ask,
  hello,
  openWebTransport,
  repliesTo,
  replyTo,
  steeredTails,
  type TestLink,
  until,
  welcomed,
} from './testLink.fixture.ts';

const { dir, tiny } = await testModels();
const tails = steeredTails({ models: dir, tls: await testCertificate() }, 500);
const tail = await tails.start();
const { backend } = tails;
let link: TestLink;
const SIZE = 1200;

beforeAll(async () => {
  link = await openWebTransport(tail);
  link.send(hello());
  await welcomed(link);
});
afterAll(async () => {
  link?.close();
  await tails.end();
});

/** A request of about 30 kB, in pieces. */
function pieces(id: number): Uint8Array[] {
  const request = ask(tiny, id, 0, { filler: 29_000 });
  const datagrams = cutMessage(id, request, SIZE)!;
  expect(datagrams.length).toBeGreaterThan(20);
  return datagrams;
}

const missingOf = (id: number) => link.inbox.filter((m) => m.type === 'missing' && m.id === id);
const indices = (body: Uint8Array) =>
  Array.from({ length: body.byteLength / 2 }, (_, i) => body[2 * i]! | (body[2 * i + 1]! << 8));

function fragments(id: number, datagrams: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const parts = datagrams.flatMap((d) => [Uint8Array.of(d.byteLength & 255, d.byteLength >> 8), d]);
  return writeMessage('fragments', id, { body: Buffer.concat(parts) });
}

test('all pieces, in any order and some twice: received, then answered', async () => {
  const datagrams = pieces(1).reverse();
  for (const d of [...datagrams.slice(0, 5), ...datagrams]) await link.datagram(d);
  expect((await replyTo(link, 1)).kind).toBe('reply');
  const types = link.inbox.filter((m) => m.id === 1).map((m) => m.type);
  expect(types.filter((type) => type !== 'missing')).toEqual(['received', 'reply']);
  expect(backend.begun.filter((b) => b.id === 1).length).toBe(1);
});

test('pieces that do not come are named, come on the stream, and the request is answered', async () => {
  const datagrams = pieces(2);
  const lost = [0, 7, 8, datagrams.length - 1];
  for (const [i, d] of datagrams.entries()) if (!lost.includes(i)) await link.datagram(d);
  const asked = await until(() => missingOf(2)[0], 'what is missing');
  expect(indices(asked.body)).toEqual(lost);
  link.send(
    fragments(
      2,
      lost.slice(0, 2).map((i) => datagrams[i]!),
    ),
  );
  const again = await until(() => missingOf(2).find((m) => m.body.length === 4), 'the rest');
  expect(indices(again.body)).toEqual(lost.slice(2));
  link.send(
    fragments(
      2,
      lost.slice(2).map((i) => datagrams[i]!),
    ),
  );
  expect((await replyTo(link, 2)).kind).toBe('reply');
});

test('the whole message on the stream replaces what came as datagrams', async () => {
  const datagrams = pieces(3);
  await link.datagram(datagrams[0]!);
  link.send(ask(tiny, 3, 0, { filler: 29_000 }));
  expect((await replyTo(link, 3)).kind).toBe('reply');
  for (const d of datagrams) await link.datagram(d);
  link.send(ask(tiny, 4));
  await replyTo(link, 4);
  expect(repliesTo(link, 3).length).toBe(1);
  expect(backend.begun.filter((b) => b.id === 3).length).toBe(1);
});

test('a cancel that overtakes its datagrams: they are not put together, and nothing is done', async () => {
  link.send(writeMessage('cancel', 5));
  link.send(ask(tiny, 40));
  await replyTo(link, 40); // so it has been read
  for (const d of pieces(5)) await link.datagram(d);
  link.send(ask(tiny, 41));
  await replyTo(link, 41);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(link.inbox.filter(({ id }) => id === 5)).toEqual([]);
  expect(backend.begun.filter((b) => b.id === 5)).toEqual([]);
});

test('datagrams that are none, or contradict each other, change nothing', async () => {
  await link.datagram(new Uint8Array(5));
  await link.datagram(new Uint8Array(200));
  const [first, ...rest] = pieces(6);
  await link.datagram(first!);
  for (const d of cutMessage(6, new Uint8Array(5000).fill(9), SIZE)!) await link.datagram(d);
  for (const d of rest) await link.datagram(d);
  // What was lost on the way (loopback drops too, when a queue is full) is asked for.
  const datagrams = [first!, ...rest];
  const answered = until(() => repliesTo(link, 6)[0], 'the reply');
  const pump = setInterval(() => {
    const last = missingOf(6).at(-1);
    if (last)
      link.send(
        fragments(
          6,
          indices(last.body).map((i) => datagrams[i]!),
        ),
      );
  }, 50);
  expect((await answered).kind).toBe('reply');
  clearInterval(pump);
});

test('half-way messages are bounded in number, bytes and time, and give their memory back', async () => {
  const budget = new ByteBudget(1 << 30);
  const asked: number[] = [];
  const whole: number[] = [];
  const assemblies = new Assemblies(1 << 23, budget, {
    missing: (id) => void asked.push(id),
    complete: (id) => void whole.push(id),
  });
  const message = new Uint8Array(3 << 20);
  const first = cutMessage(1, message, SIZE)!;
  for (let id = 1; id <= 40; id++) assemblies.add(readDatagram(cutMessage(id, message, SIZE)![0]!));
  expect(assemblies.held.messages).toBe(16);
  const large = (id: number) => cutMessage(id, message, 60_000)!;
  assemblies.close();
  expect(budget.held).toBe(0);
  // Three of 3 MiB less one piece each are more than 8 MiB.
  for (const id of [1, 2, 3]) for (const d of large(id).slice(1)) assemblies.add(readDatagram(d));
  expect(assemblies.held.bytes).toBeLessThanOrEqual(8 << 20);
  expect(budget.held).toBe(assemblies.held.bytes);
  assemblies.close();
  // A piece of one byte takes far more memory than that.
  for (let id = 1; id <= 3; id++)
    for (const d of cutMessage(id, new Uint8Array(60_000), 13)!.slice(1)) assemblies.add(readDatagram(d));
  expect(assemblies.held.bytes).toBeGreaterThan(7 << 20);
  expect(assemblies.held.bytes).toBeLessThanOrEqual(8 << 20);
  assemblies.close();
  assemblies.add(readDatagram(cutMessage(9, new Uint8Array(9 << 20), SIZE)![0]!));
  expect(assemblies.held.messages).toBe(0);
  const poor = new Assemblies(1 << 23, new ByteBudget(2000), { missing() {}, complete() {} });
  for (const d of first.slice(0, 3)) poor.add(readDatagram(d));
  expect(poor.held.bytes).toBeLessThanOrEqual(2000);
  poor.close();
  // Nobody finishes it: asked for a few times with growing pauses, then forgotten after two seconds.
  assemblies.add(readDatagram(first[0]!));
  await until(() => assemblies.held.messages === 0, 'it is forgotten');
  expect(asked.length).toBeGreaterThan(1);
  expect(asked.length).toBeLessThan(10);
  expect(whole).toEqual([]);
  expect(budget.held).toBe(0);
});
