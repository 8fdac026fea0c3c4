// Opens a link: a channel, then hello and welcome (FORMAT.md, "Links"). Which channel, and what to do when it fails, is
// decided by whoever calls.
import { abortError } from '../abort.ts';
import { IsthmusError } from '../errors.ts';
import {
  type Hello,
  MESSAGE_HEADER_BYTES,
  type Message,
  type Welcome,
  writeMessage,
} from '../wire/message.ts';
import type { Channel, OpenChannel } from './channel.ts';
import type { DatagramUse } from './datagramSender.ts';
import { Link } from './link.ts';
import { broken, tailError } from './linkErrors.ts';

export interface LinkOptions {
  hello: Hello;
  datagrams?: DatagramUse;
  /** Called once: no new request may come, because the tail said goaway or the link ended. */
  onEnd?: (reason: string) => void;
}

/**
 * Opens a channel and greets the tail.
 * @throws IsthmusError OFFLINE when it breaks before the tail agreed; what the tail answered; the signal's reason
 */
export async function openLink(
  open: OpenChannel,
  { hello, datagrams = 'auto', onEnd = () => undefined }: LinkOptions,
  signal: AbortSignal,
): Promise<Link> {
  let link: Link | undefined;
  let channel: Channel | undefined;
  let greeted = 0;
  let greet: (link: Link) => void = () => undefined;
  let refuse: (reason: unknown) => void = () => undefined;
  const agreed = new Promise<Link>((resolve, reject) => {
    greet = resolve;
    refuse = reject;
  });
  agreed.catch(() => undefined);
  const events = {
    message(message: Message, since: number) {
      if (link) link.take(message, since);
      else if (message.type === 'welcome' && channel) {
        // The link is made in this very call: the next message may follow before any promise is settled.
        try {
          const welcome = readWelcome(message.body);
          link = new Link(channel, welcome, performance.now() - greeted, datagrams, onEnd);
          greet(link);
        } catch (thrown) {
          refuse(thrown);
        }
      } else if (message.type === 'reply' && message.id === 0) refuse(tailError(message.body));
    },
    alive: () => link?.alive(),
    end(reason: string) {
      refuse(broken(reason));
      link?.end(reason);
    },
  };
  channel = await open(events, signal);
  greeted = performance.now();
  const stop = () => refuse(abortError(signal));
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  try {
    channel.send(writeMessage('hello', 0, { body: new TextEncoder().encode(JSON.stringify(hello)) }));
    return await agreed;
  } catch (thrown) {
    channel.close();
    throw thrown;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Only what a tail sensibly allows. @throws NOT_ISTHMUS */
function readWelcome(body: Uint8Array): Welcome {
  let json: Partial<Welcome> | null = null;
  try {
    json = JSON.parse(new TextDecoder().decode(body));
  } catch {
    // Said below.
  }
  const { version, inFlight, messageBytes } = json ?? {};
  const whole = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) > 0;
  if (version === 1 && whole(inFlight) && whole(messageBytes) && messageBytes > MESSAGE_HEADER_BYTES)
    return { version, inFlight, messageBytes };
  throw new IsthmusError(
    'NOT_ISTHMUS',
    'The other side of the link is no Isthmus tail of this version. Update both.',
  );
}
