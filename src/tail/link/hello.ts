// The first message of a link and its answer (FORMAT.md, "Links"): small JSON from a stranger, so its size and nesting are
// checked before it is parsed. Whether the ticket is good is the gate's business.
import { IsthmusError } from '../../errors.ts';
import { jsonDepth, MAX_JSON_DEPTH } from '../../wire/jsonDepth.ts';
import { type Message, type Welcome, writeMessage } from '../../wire/message.ts';

const HELLO_BYTES = 8192;
/** With its headers: those of messages, and of WebSocket around them. */
export const LONGEST_HELLO = HELLO_BYTES + 64;

/**
 * @returns the ticket, where there is one
 * @throws IsthmusError REQUEST_INVALID when it is no hello; FRAME_VERSION
 */
export function readHello({ type, body }: Message): string | undefined {
  if (type !== 'hello') throw new IsthmusError('REQUEST_INVALID', 'The first message of a link is hello.');
  const { version, ticket } = parse(body);
  if (version !== 1) {
    throw new IsthmusError('FRAME_VERSION', 'This tail speaks version 1 of links. Use matching releases.');
  }
  if (ticket !== undefined && typeof ticket !== 'string') throw invalidHello();
  return ticket;
}

export function welcome(inFlight: number, messageBytes: number): Uint8Array<ArrayBuffer> {
  const said: Welcome = { version: 1, inFlight, messageBytes };
  return writeMessage('welcome', 0, { body: Buffer.from(JSON.stringify(said)) });
}

function parse(body: Uint8Array): Record<string, unknown> {
  if (body.byteLength > HELLO_BYTES || jsonDepth(body) > MAX_JSON_DEPTH) throw invalidHello();
  try {
    const hello: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return (hello ?? {}) as Record<string, unknown>;
  } catch (thrown) {
    throw invalidHello(thrown);
  }
}

export function invalidHello(cause?: unknown): IsthmusError {
  return new IsthmusError('REQUEST_INVALID', 'The hello is not the JSON of FORMAT.md, "Links".', { cause });
}
