// The transport that switches: every request goes over the link that is open, and by fetch while none is. When what
// carries it breaks, it goes again over the next; inference may be done twice, but one answer only is delivered.
import { abortError, anySignal } from '../abort.ts';
import { IsthmusError } from '../errors.ts';
import type { LinkKeeper } from './linkKeeper.ts';
import type { Delivery, SendOptions, Transport } from './transport.ts';

/** Ways that one request may fail on before its failure is the answer. */
const MOST_FAILURES = 5;
/** After each of them but a link's end: the network may need a moment. */
const FIRST_PAUSE_MS = 100;
/** A request that went by fetch and got no answer for so long is also sent over a link that opens. */
const PATIENCE_MS = 1000;
/** Whoever answered so recently is worth another try. */
const FRESH_MS = 30_000;

type Carrier = Pick<Transport, 'send'>;

/** One request until it is answered. */
interface Sending {
  /** Its way broke, so it is in a hurry. */
  readonly moved: boolean;
  /** A link has opened. */
  opened(link: Carrier): void;
  /** The transport is closed. */
  close(): void;
}

/** @param fetch for when no link is open; absent where a link was asked for, then requests wait for one */
export function autoTransport(keeper: LinkKeeper, fetch: Transport | undefined): Transport {
  const sendings = new Set<Sending>();
  let lastAnswer = Number.NEGATIVE_INFINITY;
  keeper.wanted = () => [...sendings].some(({ moved }) => moved);
  keeper.onOpen = (link) => {
    for (const sending of [...sendings]) sending.opened(link);
  };

  function send(frame: Uint8Array, options: SendOptions = {}): Promise<Delivery> {
    const { signal, deadlineMs } = options;
    if (signal?.aborted) return Promise.reject(abortError(signal));
    const asked = performance.now();
    /** What works on it, with the moment it was given to them. */
    const under = new Map<Carrier, number>();
    const failures: unknown[] = [];
    /** Times that the frame was handed to somebody. */
    let attempts = 0;
    let moved = false;
    const ended = new AbortController();
    const both = signal ? anySignal(signal, ended.signal) : ended.signal;

    return new Promise<Delivery>((resolve, reject) => {
      const finish = (settle: () => void) => {
        sendings.delete(sending);
        signal?.removeEventListener('abort', stop);
        settle();
        ended.abort(); // others that work on it may stop
      };
      const stop = () => finish(() => reject(abortError(signal)));
      const sending: Sending = {
        get moved() {
          return moved;
        },
        opened(link) {
          const [since] = under.values();
          if (under.size !== 1 || since === undefined) return;
          if (moved || performance.now() - since > PATIENCE_MS) attempt(link);
        },
        close: () => finish(() => reject(closed())),
      };

      function attempt(carrier: Carrier): void {
        if (ended.signal.aborted || under.has(carrier)) return;
        under.set(carrier, performance.now());
        attempts++;
        const left = deadlineMs && Math.max(1, deadlineMs - (performance.now() - asked));
        carrier.send(frame, { ...options, signal: both, ...(left && { deadlineMs: left }) }).then(
          (delivery) => {
            if (ended.signal.aborted) return;
            lastAnswer = performance.now();
            const wasted = (attempts - 1) * frame.byteLength;
            finish(() => resolve({ ...delivery, bytesUp: delivery.bytesUp + wasted }));
          },
          (thrown) => {
            under.delete(carrier);
            failed(thrown, carrier !== fetch);
          },
        );
      }

      function failed(thrown: unknown, onLink: boolean): void {
        if (ended.signal.aborted) return;
        failures.push(thrown);
        if (under.size > 0) return; // somebody else is at it
        const offline = thrown instanceof IsthmusError && thrown.code === 'OFFLINE';
        const hope = onLink || keeper.link || performance.now() - lastAnswer < FRESH_MS;
        if (!offline || !hope || failures.length >= MOST_FAILURES) {
          finish(() => reject(offline ? failures[0] : thrown));
          return;
        }
        moved = true;
        if (!onLink) options.onTrouble?.(failures[0]);
        if (onLink) go();
        else setTimeout(go, FIRST_PAUSE_MS * 2 ** (failures.length - 1));
      }

      function go(): void {
        if (ended.signal.aborted) return;
        const carrier = keeper.link ?? fetch;
        if (moved) keeper.hurry();
        else keeper.nudge();
        if (carrier) attempt(carrier);
        else keeper.open().then(attempt, (thrown) => failed(thrown, false));
      }

      signal?.addEventListener('abort', stop, { once: true });
      sendings.add(sending);
      go();
    });
  }

  return {
    get kind() {
      return keeper.link?.kind ?? fetch?.kind ?? keeper.kinds[0]!;
    },
    async warm() {
      if (fetch) keeper.start();
      else await keeper.open();
    },
    send,
    async close() {
      for (const sending of [...sendings]) sending.close();
      keeper.close();
      await fetch?.close();
    },
  };
}

const closed = () => new IsthmusError('CLOSED', 'The session is closed. Connect again.');
