// The requests of one link: admits, runs and answers them side by side, in whatever order they get ready; cancels them,
// and knows which ids were there already. What a message may be, and when, is serveLink.ts.
import { IsthmusError } from '../../errors.ts';
import { type Message, writeMessage } from '../../wire/message.ts';
import type { TailContext } from '../context.ts';
import { answerBytes } from '../infer/answer.ts';
import { errorFrame, NO_TAG, namedError } from '../infer/errorFrame.ts';
import { answerFrame } from '../infer/service.ts';
import { type Subject, subjectName } from '../operate/gate.ts';
import type { LinkChannel } from './channel.ts';

/** Ids of this many requests, those under way included, are not taken again: FORMAT.md, "Links". */
const REMEMBERED = 1024;

export interface RequestOwner {
  /** Of the link, for logs: request ids begin with it. */
  readonly name: string;
  readonly channel: LinkChannel;
  readonly subject: Subject;
  /** Hands a message to the channel, unless the link has ended meanwhile. */
  send(message: Uint8Array<ArrayBuffer>): void;
  /** Nothing is under way any more. */
  drained(): void;
}

export class LinkRequests {
  readonly #tail: TailContext;
  readonly #owner: RequestOwner;
  readonly #running = new Map<number, AbortController>();
  readonly #recent = new Set<number>();
  readonly #most: number;

  /** @param most requests that may be under way at once */
  constructor(tail: TailContext, owner: RequestOwner, most: number) {
    this.#tail = tail;
    this.#owner = owner;
    this.#most = most;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Under way, or done not long ago. */
  knows(id: number): boolean {
    return this.#recent.has(id);
  }

  /** Takes a request, or answers it with `refusal`; one with a known id is left aside. The body must be in memory of its own: it may move to a thread. */
  take(message: Message, refusal?: IsthmusError): void {
    const { id } = message;
    if (this.#recent.has(id)) return;
    this.#remember(id);
    const controller = new AbortController();
    const refused = refusal ?? (this.#running.size >= this.#most ? tooMany(this.#most) : undefined);
    this.#running.set(id, controller);
    void this.#answer(message, controller.signal, refused).finally(() => {
      this.#running.delete(id);
      if (this.#running.size === 0) this.#owner.drained();
    });
  }

  /** One that has not come yet is not taken later: a cancel may overtake datagrams. */
  cancel(id: number): void {
    const running = this.#running.get(id);
    if (running) running.abort();
    else this.#remember(id);
  }

  cancelAll(): void {
    for (const controller of this.#running.values()) controller.abort();
  }

  async #answer(message: Message, signal: AbortSignal, refused?: IsthmusError): Promise<void> {
    const { id, body, urgency, deadlineMs } = message;
    const { name, channel, subject } = this.#owner;
    const tail = this.#tail;
    const started = performance.now();
    const requestId = `${name}.${id}`;
    const tag = frameTag(body);
    const bytesIn = body.byteLength; // the body itself may be empty afterwards
    let bytesOut = 0;
    let code = 'ok';
    let taken = 0;
    const reply = (frame: Uint8Array<ArrayBuffer>, more: boolean) => {
      if (signal.aborted) return;
      bytesOut += frame.byteLength;
      this.#owner.send(writeMessage('reply', id, { more, body: frame }));
    };
    tail.inFlight++;
    try {
      if (refused) throw refused;
      tail.bodies.take(bytesIn);
      taken = bytesIn;
      await tail.gate.admit(subject, channel.address);
      signal.throwIfAborted();
      const deadline = deadlineMs > 0 ? { deadline: Date.now() + deadlineMs } : {};
      const asked = { id: requestId, signal, urgency, subject, several: true, ...deadline };
      await answerFrame(tail, body, undefined, asked, (answer) => {
        const encoding = performance.now();
        const frame = answerBytes(answer);
        tail.metrics.stage('encode', performance.now() - encoding);
        reply(frame, answer.more);
      });
    } catch (thrown) {
      const error = signal.aborted ? undefined : namedError(thrown, requestId, tail.log);
      code = error?.code ?? 'ABORTED';
      if (error) reply(errorFrame(error, tag), false);
    } finally {
      tail.bodies.give(taken);
      tail.inFlight--;
      const ms = Math.round((performance.now() - started) * 10) / 10;
      const { transport } = channel;
      tail.metrics.answered({ transport, code, ms, bytesIn, bytesOut });
      const who = subjectName(subject);
      const fields = { requestId, transport, code, ms, bytesIn, bytesOut, ...(who && { subject: who }) };
      tail.log.info(fields, 'request');
    }
  }

  #remember(id: number): void {
    this.#recent.add(id);
    // A set keeps the order of insertion, so the first is the oldest; one that still runs stays known.
    for (const old of this.#recent) {
      if (this.#recent.size <= REMEMBERED) break;
      if (!this.#running.has(old)) this.#recent.delete(old);
    }
  }
}

/** Model tag of a request frame, so that its error frame carries it too; nothing is checked here. */
function frameTag(body: Uint8Array): string {
  if (body.byteLength < 32) return NO_TAG;
  return Array.from(body.subarray(16, 24), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function tooMany(most: number): IsthmusError {
  return new IsthmusError(
    'OVERLOADED',
    `${most} requests are under way on this link, as many as it may have. Wait for an answer before the next.`,
  );
}
