// Clients that mean harm, or do not know what they do: damaged messages by the thousand, messages that are too large or come too
// early. The tail answers with codes and serves the next one. (greedyLinks.test.ts: clients that hold on to what they have.)
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { IsthmusError } from '../../errors.ts';
import { cutMessage } from '../../wire/datagram.ts';
import { MessageReader, readMessage, writeMessage } from '../../wire/message.ts';
import {
  ask,
  healthy,
  hello,
  lastWord,
  openWebSocket,
  replyTo,
  strictTails,
  until,
  welcomed,
} from './testLink.fixture.ts';

const { tiny, start, held } = await strictTails();

test('20,000 damaged messages are read or refused with a code', () => {
  const seeds = [hello(), ask(tiny, 7), writeMessage('ping', 1, { body: new Uint8Array(9) })];
  const damage = fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...seeds), damage, fc.nat(200), fc.nat(50), (seed, changes, cut, chop) => {
      const bytes = seed.slice(0, cut < 40 ? cut : seed.length);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const reader = new MessageReader(1 << 20);
      for (const read of [
        () => readMessage(bytes),
        () => {
          for (let at = 0; at < bytes.length; at += chop + 1) reader.push(bytes.subarray(at, at + chop + 1));
        },
      ]) {
        try {
          read();
        } catch (thrown) {
          if (!(thrown instanceof IsthmusError)) throw thrown;
          expect(['FRAME_INVALID', 'TOO_LARGE']).toContain(thrown.code);
        }
      }
    }),
    { numRuns: 20_000, seed: 4 },
  );
});

test('3,000 damaged messages over open links: answers with codes, no defect, and the next client is served', {
  timeout: 60_000,
}, async () => {
  const tail = await start({ maxBodyBytes: 1 << 16 });
  const codes = new Map<string, number>();
  const seeds = [ask(tiny, 7), ask(tiny, 8), writeMessage('cancel', 3), fragments(ask(tiny, 9))];
  const rounds = fc.sample(
    fc.array(
      fc.tuple(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(70), fc.nat(255)), { maxLength: 3 }),
        fc.nat(400),
      ),
      { minLength: 10, maxLength: 10 },
    ),
    { numRuns: 300, seed: 5 },
  );
  for (const round of rounds) {
    const link = await openWebSocket(tail);
    link.send(hello());
    for (const [i, [seed, changes, cut]] of round.entries()) {
      // The envelope is hit less often: what is wrong there ends the link, and the rest is not looked at.
      const skip = cut % 20 === 0 ? 0 : 16;
      const bytes = seed.slice(0, cut < 15 ? cut : seed.length);
      for (const [at, value] of changes) if (at + skip < bytes.length) bytes[at + skip] = value;
      // Most get a right length and an id of their own, so that what lies behind those checks is reached too.
      if (bytes.length >= 16 && cut % 4) {
        const view = new DataView(bytes.buffer);
        view.setUint32(0, bytes.length, true);
        view.setUint32(8, i + 1, true);
      }
      link.send(bytes);
    }
    link.send(ask(tiny, 999));
    await until(
      () => link.inbox.some((m) => m.type === 'reply' && (m.id === 999 || m.id === 0)),
      'an answer',
    );
    for (const { type, body } of link.inbox) {
      if (type !== 'reply') continue;
      const code = /"code":"(\w+)"/.exec(Buffer.from(body).toString('latin1'))?.[1] ?? 'ok';
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    link.close();
  }
  console.log('answers by code:', Object.fromEntries(codes));
  expect([...codes.keys()]).toEqual(expect.arrayContaining(['ok', 'FRAME_INVALID', 'FRAME_CORRUPT']));
  expect(codes.has('INTERNAL')).toBe(false);
  await healthy(tail, tiny);
  expect(await held(tail)).toBe(0);
});

test('messages above the limit end the link, in one piece and in many', async () => {
  const tail = await start({ maxBodyBytes: 50_000 });
  const link = await openWebSocket(tail);
  link.send(hello());
  const welcome = JSON.parse(new TextDecoder().decode((await welcomed(link)).body));
  link.send(new Uint8Array(welcome.messageBytes + 1));
  expect((await link.ended).code).toBe(1009);
  const text = await openWebSocket(tail);
  (text as unknown as { send(text: string): void }).send('hello');
  expect((await lastWord(text)).code).toBe('FRAME_INVALID');
  expect((await text.ended).code).toBe(1002);
  await healthy(tail, tiny);
});

test('before the hello nothing can be uploaded', async () => {
  const tail = await start({ linkLimits: { helloMs: 60_000 } });
  const link = await openWebSocket(tail);
  link.send(new Uint8Array(1_000_000));
  expect((await lastWord(link)).code).toBe('REQUEST_INVALID');
  await until(async () => (await held(tail)) === 0, 'their bytes given back');
  // Together with the hello it can.
  const eager = await openWebSocket(tail);
  eager.send(hello());
  eager.send(ask(tiny, 1, 0, { filler: 60_000 }));
  expect((await replyTo(eager, 1)).kind).toBe('reply');
  eager.close();
});

test('upgrades that are none of ours are refused', async () => {
  const tail = await start();
  const attempt = (path: string, protocols: string[] = ['isthmus.1']) =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${tail.url.replace('http', 'ws')}${path}`, protocols);
      socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
      socket.on('open', () => resolve('open')).on('error', () => undefined);
    });
  expect(await attempt('/models')).toBe(404);
  expect(await attempt('/linked')).toBe(404);
  expect(await attempt('/link', [])).toBe(400);
  expect(await attempt('/link', ['isthmus.2'])).toBe(400);
  const foreign = new WebSocket(`${tail.url.replace('http', 'ws')}/link`, 'isthmus.1', {
    origin: 'https://evil.example',
  });
  const status = await new Promise((resolve) => {
    foreign
      .on('unexpected-response', (_, response) => resolve(response.statusCode))
      .on('error', () => undefined);
  });
  expect(status).toBe(403);
  await healthy(tail, tiny);
});

/** The first datagrams of a request, sent again. */
function fragments(request: Uint8Array): Uint8Array<ArrayBuffer> {
  const datagrams = cutMessage(9, request, 200)!.slice(0, 4);
  const parts = datagrams.flatMap((d) => [Uint8Array.of(d.byteLength & 255, d.byteLength >> 8), d]);
  return writeMessage('fragments', 9, { body: Buffer.concat(parts) });
}
