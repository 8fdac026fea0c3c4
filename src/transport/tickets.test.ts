// Links to a real tail that asks for tokens: a ticket is fetched for each link, used up, and never part of an address.
import { afterAll, expect, test } from 'vitest';
import { createGate } from '../tail/operate/createGate.ts';
import { testModels, tinyFrame } from '../tail/testModels.fixture.ts';
import { testTails } from '../tail/testTails.fixture.ts';
import { readFrame } from '../wire/readFrame.ts';
import { until } from './linkServer.fixture.ts';
import { makeTransport, type TransportChoice } from './makeTransport.ts';
import type { TokenSource } from './transport.ts';

const SECRET = 'a-token-that-is-long-enough-for-a-tail';
const logged: string[] = [];
const log = (fields: object, message: string) => void logged.push(JSON.stringify(fields) + message);
const models = await testModels();
const { start, end } = testTails({ models: models.dir, logger: { info: log, warn: log, error: log } }, 500);
const tail = await start({ gate: await createGate({ tokens: [{ subject: 'shop', token: SECRET }] }) });
afterAll(end);

const transportTo = (choice: TransportChoice, token?: TokenSource) =>
  makeTransport(choice, { base: tail.url, model: `${tail.url}/models/tiny`, token });

test('a token opens a link, another opens the next, and neither token nor ticket is in a log', async () => {
  let asked = 0;
  for (const choice of ['websocket', 'auto'] as const) {
    const transport = transportTo(choice, async () => {
      asked++;
      return SECRET;
    });
    await transport.warm?.();
    await until(() => transport.kind === 'websocket');
    const { frame, via } = await transport.send(tinyFrame(models.tiny));
    expect(readFrame(frame).kind).toBe('reply');
    expect(via).toBe('websocket');
    await transport.close();
  }
  expect(asked).toBe(4); // discovery and ticket, for each of them
  const lines = logged.filter((line) => line.includes('"transport":"websocket"'));
  expect(lines).toHaveLength(2);
  expect(lines[0]).toContain('"subject":"shop"');
  expect(logged.join()).not.toContain(SECRET);
  expect(logged.join()).not.toMatch(/ticket=|token=/);
});

test.each([undefined, 'a-wrong-token-that-is-long-enough-too'])(
  'the token %s opens nothing',
  async (token) => {
    const refused = { code: 'UNAUTHENTICATED' };
    const forced = transportTo('websocket', token);
    await expect(forced.warm?.()).rejects.toMatchObject(refused);
    await expect(forced.send(tinyFrame(models.tiny))).rejects.toMatchObject(refused);
    await forced.close();
    const auto = transportTo('auto', token);
    await auto.warm?.();
    await expect(auto.send(tinyFrame(models.tiny))).rejects.toMatchObject(refused);
    await auto.close();
  },
);
