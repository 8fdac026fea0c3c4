// A platform whose datagram queue never says that it has room again: requests go by the stream, and none waits for ever.
// Everything else about datagrams is tested over real links (link.test.ts, webtransport.test.ts, e2e).
import { expect, test } from 'vitest';
import { DatagramSender } from './datagramSender.ts';

/** Takes `open` datagrams, then the promise of its writer stays as it is until `release`. */
function stuckPort(open: number) {
  let taken = 0;
  let release: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    release = resolve;
  });
  return {
    port: { maxSize: 1200, send: () => (taken++ < open ? Promise.resolve() : ready) },
    release: () => release(),
    get taken() {
      return taken;
    },
  };
}

test('a queue that stays full holds no request: they go by the stream, and by datagrams again once it has room', async () => {
  const stuck = stuckPort(2);
  const streamed: number[] = [];
  const sender = new DatagramSender(
    stuck.port,
    'always',
    (id) => streamed.push(id),
    () => 5,
  );
  const message = new Uint8Array(5000);
  expect(sender.send(1, message, true)).toBe(true);
  expect(sender.send(2, message, false)).toBe(true); // behind it
  await expect.poll(() => streamed, { timeout: 8000 }).toEqual([1, 2]);
  expect(stuck.taken).toBe(3);
  expect(sender.send(3, message, true)).toBe(false); // the caller takes the stream
  stuck.release();
  await expect.poll(() => sender.send(4, message, true)).toBe(true);
  expect(streamed).toEqual([1, 2]);
  sender.close();
});
