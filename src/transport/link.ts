// Link: many requests over one channel, as FORMAT.md, "Links", says: ids, replies in any order, cancel, goaway, and no
// more under way than the tail allows. It neither opens channels nor sends anything twice after its end (auto.ts does).
import { abortError } from '../abort.ts';
import {
  DEFAULT_URGENCY,
  MESSAGE_HEADER_BYTES,
  type Message,
  type Welcome,
  writeMessage,
} from '../wire/message.ts';
import type { Channel } from './channel.ts';
import { DatagramSender, type DatagramUse } from './datagramSender.ts';
import { broken, tailError, tooLarge } from './linkErrors.ts';
import { Silence } from './silence.ts';
import type { Delivery, LinkKind, SendOptions } from './transport.ts';

interface Pending {
  frame: Uint8Array;
  options: SendOptions;
  /** Moments by performance.now(); `sent` is 0 while it waits in the queue. */
  asked: number;
  sent: number;
  bytesUp: number;
  bytesDown: number;
  resolve(delivery: Delivery): void;
  reject(reason: unknown): void;
  /** Takes the listener off the signal. */
  forget(): void;
}

export class Link {
  readonly kind: LinkKind;
  readonly #channel: Channel;
  readonly #limits: Welcome;
  readonly #silence: Silence;
  readonly #datagrams: DatagramSender | undefined;
  readonly #onEnd: (reason: string) => void;
  /** Under way, by id. */
  readonly #pending = new Map<number, Pending>();
  #queue: Pending[] = [];
  #lastId = 0;
  #usedAt = performance.now();
  #accepting = true;
  #over = false;

  /** @internal openLink() makes links. */
  constructor(
    channel: Channel,
    limits: Welcome,
    rtt: number,
    use: DatagramUse,
    onEnd: (reason: string) => void,
  ) {
    this.kind = channel.kind;
    this.#channel = channel;
    this.#limits = limits;
    this.#onEnd = onEnd;
    this.#silence = new Silence(rtt, {
      unanswered: () => {
        let bytes = 0;
        for (const { bytesUp } of this.#pending.values()) bytes += bytesUp;
        return bytes;
      },
      buffered: () => channel.buffered,
      ping: () => channel.send(writeMessage('ping', 0)),
      dead: () => this.#die('the tail does not answer any more'),
    });
    if (channel.datagrams && use !== 'never') {
      const send = (id: number, message: Uint8Array<ArrayBuffer>) => {
        const pending = this.#pending.get(id);
        if (!pending) return;
        pending.bytesUp += message.byteLength - MESSAGE_HEADER_BYTES;
        channel.send(message);
      };
      this.#datagrams = new DatagramSender(channel.datagrams, use, send, () => this.#silence.srtt);
    }
  }

  /** Whether new requests may come. */
  get accepting(): boolean {
    return this.#accepting;
  }

  /** performance.now() of the last request or answer. */
  get usedAt(): number {
    return this.#usedAt;
  }

  /** Round trip in milliseconds. */
  get srtt(): number {
    return this.#silence.srtt;
  }

  /** @throws IsthmusError OFFLINE when the link ends before the last reply; TOO_LARGE; the signal's reason */
  send(frame: Uint8Array, options: SendOptions = {}): Promise<Delivery> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      const most = this.#limits.messageBytes - MESSAGE_HEADER_BYTES;
      if (signal?.aborted) throw abortError(signal);
      if (!this.#accepting) throw broken('it is closed');
      if (frame.byteLength > most) throw tooLarge(frame.byteLength, most);
      const stop = () => this.#cancel(pending);
      const pending: Pending = {
        ...{ frame, options, resolve, reject, asked: performance.now() },
        ...{ sent: 0, bytesUp: 0, bytesDown: 0 },
        forget: () => signal?.removeEventListener('abort', stop),
      };
      signal?.addEventListener('abort', stop, { once: true });
      const behind = this.#queue.findIndex((other) => urgencyOf(other) > urgencyOf(pending));
      this.#queue.splice(behind < 0 ? this.#queue.length : behind, 0, pending);
      this.#next();
    });
  }

  /** Finds out whether it still lives; if not it ends, as when it is silent under requests. */
  check(): void {
    if (!this.#over) this.#silence.check();
  }

  /** Ends it; what is under way fails with OFFLINE. */
  close(): void {
    this.#die('it was closed here');
  }

  /** @internal */
  alive(): void {
    this.#silence.heard(this.#pending.size > 0);
  }

  /** @internal */
  take(message: Message, since: number): void {
    const { type, id, body } = message;
    if (type === 'pong') this.#silence.pong();
    this.alive();
    if (type === 'reply') this.#reply(message, since);
    else if (type === 'ping') this.#channel.send(writeMessage('pong', id, { body }));
    else if (type === 'goaway') this.#goaway();
    else if (type === 'missing') this.#datagrams?.missing(id, body);
    else if (type === 'received') this.#datagrams?.received(id);
  }

  /** @internal The channel has ended. */
  end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#silence.stop();
    this.#datagrams?.close();
    const lost = [...this.#pending.values(), ...this.#queue];
    this.#pending.clear();
    this.#queue = [];
    this.#refuseNew(reason);
    for (const { forget, reject } of lost) {
      forget();
      reject(broken(reason));
    }
  }

  #die(reason: string): void {
    this.#channel.close();
    this.end(reason);
  }

  #refuseNew(reason: string): void {
    if (!this.#accepting) return;
    this.#accepting = false;
    this.#onEnd(reason);
  }

  #next(): void {
    while (this.#pending.size < this.#limits.inFlight && this.#queue.length > 0) {
      const pending = this.#queue.shift()!;
      const { frame, options } = pending;
      this.#lastId = (this.#lastId % 0xffffffff) + 1; // 0 means no request
      const id = this.#lastId;
      this.#pending.set(id, pending);
      pending.sent = performance.now();
      this.#usedAt = pending.sent;
      pending.bytesUp = frame.byteLength;
      // At least 1: 0 means none, and what is over already is the caller's signal to tell.
      const left = options.deadlineMs && Math.max(1, options.deadlineMs - (pending.sent - pending.asked));
      const message = writeMessage('request', id, {
        urgency: urgencyOf(pending),
        body: frame,
        ...(left !== undefined && { deadlineMs: left }),
      });
      const alone = this.#pending.size === 1;
      if (!this.#datagrams?.send(id, message, alone)) this.#channel.send(message);
      this.#silence.watch();
    }
  }

  #reply({ id, more, body }: Message, since: number): void {
    if (id === 0) this.#die(`the tail ended it: ${tailError(body).message}`);
    const pending = this.#pending.get(id);
    if (!pending) return; // cancelled meanwhile, or said twice
    this.#datagrams?.forget(id);
    if (pending.bytesDown === 0) this.#silence.answered(pending.bytesUp, since - pending.sent);
    pending.bytesDown += body.byteLength;
    if (more) {
      pending.options.onReply?.(body);
      return;
    }
    this.#pending.delete(id);
    pending.forget();
    const firstByte = since - pending.asked;
    pending.resolve({
      frame: body,
      via: this.kind,
      timings: { firstByte, download: performance.now() - since },
      bytesUp: pending.bytesUp,
      bytesDown: pending.bytesDown,
    });
    this.#settled();
  }

  #cancel(pending: Pending): void {
    const { signal } = pending.options;
    for (const [id, other] of this.#pending) {
      if (other !== pending) continue;
      this.#pending.delete(id);
      this.#datagrams?.forget(id);
      this.#channel.send(writeMessage('cancel', id));
    }
    this.#queue = this.#queue.filter((other) => other !== pending);
    pending.reject(abortError(signal));
    this.#settled();
  }

  /** One request fewer is under way. */
  #settled(): void {
    this.#usedAt = performance.now();
    if (this.#pending.size === 0) this.#silence.heard(false);
    this.#next();
    if (!this.#accepting && this.#pending.size === 0 && !this.#over) this.#die('the tail is stopping');
  }

  /** What is under way is still answered; what waited for its turn has to find another way. */
  #goaway(): void {
    const waiting = this.#queue;
    this.#queue = [];
    this.#refuseNew('the tail is stopping');
    for (const { forget, reject } of waiting) {
      forget();
      reject(broken('the tail is stopping'));
    }
    if (this.#pending.size === 0) this.#die('the tail is stopping');
  }
}

const urgencyOf = ({ options }: Pending) => options.urgency ?? DEFAULT_URGENCY;
