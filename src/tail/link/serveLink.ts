// The server's end of one link over any channel: hello and welcome, then requests, cancels, pings and datagrams until one
// side goes (FORMAT.md, "Links"). Bytes are cut into messages by the transports; requests are run by linkRequests.ts.
import { IsthmusError } from '../../errors.ts';
import { readDatagram } from '../../wire/datagram.ts';
import { type Message, readMessage, writeMessage } from '../../wire/message.ts';
import type { TailContext } from '../context.ts';
import { errorFrame, namedError } from '../infer/errorFrame.ts';
import type { Permit } from '../operate/gate.ts';
import { Assemblies, indexBytes } from './assemblies.ts';
import type { LinkChannel, LinkEnd } from './channel.ts';
import { invalidHello, LONGEST_HELLO, readHello, welcome } from './hello.ts';
import { EXPIRED, endOf, expired, late, STOPPING, slow, UNREAD } from './linkErrors.ts';
import { LINK_LIMITS, type LinkLimits, largestMessage } from './linkLimits.ts';
import { LinkRequests, type RequestOwner } from './linkRequests.ts';
import type { OpenLink } from './links.ts';
import { PermitWatch } from './permitWatch.ts';

/** Pings while the client reads no answers; it needs one, and small ones cost far more memory than their bytes. */
const MOST_UNREAD_PINGS = 1000;
/** Datagrams that overtake the hello: two bursts of a paced client. */
const EARLY_DATAGRAMS = 64;

export class ServedLink implements OpenLink, RequestOwner {
  readonly name = crypto.randomUUID().slice(0, 8);
  readonly channel: LinkChannel;
  readonly #tail: TailContext;
  readonly #limits: LinkLimits;
  readonly #requests: LinkRequests;
  readonly #assemblies: Assemblies;
  #state: 'waiting' | 'open' | 'ended' = 'waiting';
  #helloTimer: NodeJS.Timeout | undefined;
  #early: Uint8Array[] = [];
  #lastHeard = performance.now();
  #lastRead = performance.now();
  #lastBuffered = 0;
  #known: Permit | undefined;
  #begun: number | undefined;
  readonly #permit: PermitWatch;
  #inputEnded = false;
  #unreadPings = 0;

  /**
   * @param known whom the link belongs to, when the transport has found out already (a bearer token); no hello needs
   *   a ticket then
   */
  constructor(tail: TailContext, channel: LinkChannel, known?: Permit, limits: Partial<LinkLimits> = {}) {
    this.#tail = tail;
    this.channel = channel;
    this.#known = known;
    this.#limits = { ...LINK_LIMITS, ...tail.linkLimits, ...limits };
    this.#permit = new PermitWatch(tail.gate, {
      ended: () => this.goaway(),
      lingered: () => this.#requests.size === 0 && this.drained(),
    });
    this.#requests = new LinkRequests(tail, this, this.#limits.inFlight);
    this.#assemblies = new Assemblies(largestMessage(tail), tail.bodies, {
      missing: (id, indices) => this.send(writeMessage('missing', id, { body: indexBytes(indices) })),
      complete: (id, bytes) => {
        this.send(writeMessage('received', id));
        this.#guarded(() => this.#assembled(id, readMessage(bytes)));
      },
    });
    this.#helloTimer = setTimeout(() => this.refuse(late(this.#limits.helloMs)), this.#limits.helloMs);
    tail.links.add(this);
  }

  get transport(): LinkChannel['transport'] {
    return this.channel.transport;
  }

  get subject(): string {
    return this.#permit.subject;
  }

  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** Goes without hello and welcome: for POST, whose headers have said everything. */
  open(permit: Permit): void {
    clearTimeout(this.#helloTimer);
    this.#state = 'open';
    this.#permit.begin(permit);
  }

  /** Takes one message. Its body must be in memory of its own. What is wrong with it ends the link, and never throws. */
  message(message: Message): void {
    this.#guarded(() => {
      this.#lastHeard = performance.now();
      this.halfWay(false);
      if (this.#state === 'waiting') this.#hello(message);
      else if (this.#state === 'open') this.#dispatch(message);
    });
  }

  /** Told how much has come of a message that has not ended: nobody uploads anything before the hello. */
  unfinished(bytes: number): void {
    if (this.#state === 'waiting' && bytes > LONGEST_HELLO) this.refuse(invalidHello());
  }

  /** Told whether bytes are here of a message that is not whole; the time counts from the first of them. */
  halfWay(here: boolean): void {
    this.#begun = here ? (this.#begun ?? performance.now()) : undefined;
  }

  /** Takes one datagram; what is wrong with it is left aside, as if it had been lost. */
  datagram(bytes: Uint8Array): void {
    if (this.#state === 'waiting') {
      if (this.#early.length < EARLY_DATAGRAMS) this.#early.push(bytes);
      return;
    }
    if (this.#state === 'ended') return;
    this.#lastHeard = performance.now();
    try {
      const piece = readDatagram(bytes);
      if (!this.#requests.knows(piece.id)) this.#assemblies.add(piece);
    } catch {
      // Lost, or never one of ours: the client hears `missing` or nothing, and sends it on the stream.
    }
  }

  /** What the transport could not read: the place of the next message is unknown, so the link ends. */
  refuse(thrown: unknown): void {
    if (this.#state === 'ended') return;
    const error = namedError(thrown, this.name, this.#tail.log);
    this.send(writeMessage('reply', 0, { body: errorFrame(error) }));
    this.#end(endOf(error), error.message);
    this.#tail.log.info({ link: this.name, transport: this.transport, code: error.code }, 'link ended');
  }

  /** The client sends nothing more but still reads: for POST bodies. */
  inputEnded(): void {
    this.#inputEnded = true;
    if (this.#requests.size === 0) this.#end('done', 'done');
  }

  /** The channel is gone: nobody waits for anything. */
  gone(): void {
    this.#end('done', 'gone');
  }

  send(message: Uint8Array<ArrayBuffer>): void {
    if (this.#state === 'ended') return;
    if (this.channel.buffered > this.#limits.bufferedBytes) this.#unread();
    else this.channel.send(message);
  }

  drained(): void {
    if (this.#inputEnded) this.#end('done', 'done');
    else if (this.#permit.lingered) this.#end('goingAway', EXPIRED);
  }

  goaway(): void {
    if (this.#state === 'open') this.send(writeMessage('goaway', 0));
    else this.#end('goingAway', STOPPING);
  }

  end(): void {
    this.#end('goingAway', STOPPING);
  }

  review(): void {
    if (this.#state === 'open') this.#permit.review();
  }

  sweep(now: number): void {
    this.review();
    if (this.#begun !== undefined && now - this.#begun > this.#limits.messageMs)
      this.refuse(slow(this.#limits.messageMs));
    if (this.#requests.size > 0) this.#lastHeard = now;
    const { buffered } = this.channel;
    // Less than before: it reads. New replies may hide that for one sweep, not for a minute.
    if (buffered === 0 || buffered < this.#lastBuffered) this.#lastRead = now;
    this.#lastBuffered = buffered;
    if (now - this.#lastRead > this.#limits.stalledMs) this.#end('overloaded', UNREAD);
    else if (now - this.#lastHeard > this.#limits.idleMs) this.#end('done', 'Nothing happened for a while.');
  }

  #hello(message: Message): void {
    const ticket = readHello(message);
    this.open(this.#known ?? this.#tail.gate.redeem(ticket));
    this.send(welcome(this.#limits.inFlight, largestMessage(this.#tail)));
    if (this.#tail.stopping) this.goaway();
    for (const bytes of this.#early.splice(0)) this.datagram(bytes);
  }

  #dispatch(message: Message): void {
    const { type, id, body } = message;
    switch (type) {
      case 'request':
        this.#request(message);
        break;
      case 'cancel':
        this.#assemblies.drop(id);
        this.#requests.cancel(id);
        break;
      case 'ping':
        this.#unreadPings = this.channel.buffered === 0 ? 0 : this.#unreadPings + 1;
        if (this.#unreadPings > MOST_UNREAD_PINGS) this.#unread();
        else this.send(writeMessage('pong', id, { body }));
        break;
      case 'fragments':
        if (!this.#requests.knows(id)) this.#assemblies.addAll(body);
        break;
      case 'pong':
        break;
      default:
        throw new IsthmusError('FRAME_INVALID', `A client does not send '${type}' on an open link.`);
    }
  }

  #request(message: Message): void {
    if (message.id === 0) throw new IsthmusError('FRAME_INVALID', 'A request has an id above 0.');
    this.#assemblies.drop(message.id);
    this.review();
    this.#requests.take(message, this.#permit.over ? expired() : undefined);
  }

  #assembled(id: number, message: Message): void {
    if (message.type !== 'request' || message.id !== id) {
      throw new IsthmusError('FRAME_INVALID', 'Only requests travel as datagrams, under their own id.');
    }
    this.#request(message);
  }

  #unread(): void {
    this.#tail.log.info({ link: this.name, transport: this.transport }, 'link ended: replies are not read');
    this.#end('overloaded', UNREAD);
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.refuse(thrown);
    }
  }

  #end(end: LinkEnd, reason: string): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    clearTimeout(this.#helloTimer);
    this.#permit.stop();
    this.#early = [];
    this.#assemblies.close();
    this.#requests.cancelAll();
    this.#tail.links.delete(this, this.channel.close(end, reason));
  }
}
