// A client without manners for the tests of this folder: it writes to the socket whatever it is told to.
import { createConnection } from 'node:net';

/** Sends text (and bytes) as they are, and collects what comes back until the server closes or `ms` pass. */
export async function rawExchange(
  port: number,
  parts: (string | Uint8Array)[],
  { ms = 20_000, end = false } = {},
): Promise<string> {
  const socket = createConnection(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.on('error', () => undefined);
  for (const part of parts) socket.write(part);
  if (end) socket.end();
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, ms))]);
  socket.destroy();
  return text;
}
