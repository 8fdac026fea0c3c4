// Feeds a served link from a byte stream, in which messages follow one another (WebTransport streams, POST bodies). It
// counts what has come of an unfinished message, and ends the link where the stream makes no sense.
import { MessageReader } from '../../wire/message.ts';
import type { TailContext } from '../context.ts';
import { largestMessage } from './linkLimits.ts';
import type { ServedLink } from './serveLink.ts';

/** Resolves when the stream has ended or the link has; a stream that breaks counts as a client that has gone. */
export async function readStream(
  tail: TailContext,
  link: ServedLink,
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<void> {
  const messages = new MessageReader(largestMessage(tail));
  let held = 0;
  const hold = (bytes: number) => {
    if (bytes > held) tail.bodies.take(bytes - held);
    else tail.bodies.give(held - bytes);
    held = bytes;
  };
  try {
    while (!link.ended) {
      const { value, done } = await reader.read();
      if (done) break;
      try {
        const whole = messages.push(value);
        hold(messages.pending);
        for (const message of whole) link.message(message);
        link.unfinished(messages.pending);
        link.halfWay(messages.pending > 0);
      } catch (thrown) {
        link.refuse(thrown);
      }
    }
  } catch {
    link.gone();
  } finally {
    hold(0);
  }
  if (link.ended) void reader.cancel().catch(() => undefined);
}
