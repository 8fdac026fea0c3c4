// Datagrams of a link, client side: cuts requests into pieces, sends them at a pace that queues can swallow, sends again
// what the tail misses, and turns to the stream when the tail stays silent. Replies are none of its business.
import { cutMessage, DATAGRAM_HEADER_BYTES } from '../wire/datagram.ts';
import { writeMessage } from '../wire/message.ts';
import type { DatagramPort } from './channel.ts';

/**
 * `auto`: small requests while others are under way, as long as the path carries datagrams well. Then a packet that is lost
 * holds up one request and not all. A request alone gains nothing: the stream loses no more, and cuts and paces by itself
 * (48 KB on loopback in Chromium: 2 ms by stream, 8 ms by datagrams).
 */
export type DatagramUse = 'auto' | 'never' | 'always';

/** Sent at once; then a pause, so that no queue on the way overflows. */
const BURST = 16;
/** `auto`: what fits into so many pieces, since the more there are the surer one is lost. */
const FEW = 64;
/** `auto`: requests that had to go by the stream after all before a link gives datagrams up. */
const FAILURES = 2;
/** What the platform may take to say that the next datagram may follow: a narrow uplink takes half a second for a full queue. */
const HELD_MS = 1000;
/** Paths with less than this carry nothing worth cutting for. */
const SMALLEST = 64;

interface Sent {
  message: Uint8Array<ArrayBuffer>;
  pieces: Uint8Array<ArrayBuffer>[];
  /** Pieces that have left; the others are not missing, only late. */
  left: number;
  /** Of the turn to the stream. */
  timer?: ReturnType<typeof setTimeout>;
}

export class DatagramSender {
  readonly #port: DatagramPort;
  readonly #use: DatagramUse;
  readonly #send: (id: number, message: Uint8Array<ArrayBuffer>) => void;
  readonly #srtt: () => number;
  readonly #sent = new Map<number, Sent>();
  /** All requests of a link share one pace. */
  #turn = Promise.resolve();
  #inBurst = 0;
  #failures = 0;
  /** The platform took a datagram and has not said since that another may follow. */
  #held = false;

  /**
   * @param send a message about request `id` to the reliable stream
   * @param srtt round trip in milliseconds
   */
  constructor(
    port: DatagramPort,
    use: DatagramUse,
    send: (id: number, message: Uint8Array<ArrayBuffer>) => void,
    srtt: () => number,
  ) {
    this.#port = port;
    this.#use = use;
    this.#send = send;
    this.#srtt = srtt;
  }

  /**
   * @param alone nothing else is under way on this link
   * @returns false when the message has to go by the stream
   */
  send(id: number, message: Uint8Array<ArrayBuffer>, alone: boolean): boolean {
    const size = this.#port.maxSize;
    if (size < DATAGRAM_HEADER_BYTES + SMALLEST || this.#held) return false;
    const auto = this.#use === 'auto';
    if (auto && (alone || this.#failures >= FAILURES)) return false;
    if (auto && message.byteLength > FEW * (size - DATAGRAM_HEADER_BYTES)) return false;
    const pieces = cutMessage(id, message, size);
    if (!pieces) return false;
    const sent: Sent = { message, pieces, left: 0 };
    this.#sent.set(id, sent);
    this.#turn = this.#turn.then(() => this.#pieces(id, sent));
    return true;
  }

  /** The tail names pieces that did not come: they go again, reliably. @param body indices, u16 each */
  missing(id: number, body: Uint8Array): void {
    const sent = this.#sent.get(id);
    if (!sent) return;
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const again: Uint8Array[] = [];
    for (let at = 0; at + 2 <= body.byteLength; at += 2) {
      const index = view.getUint16(at, true);
      const piece = sent.pieces[index];
      if (!piece || index >= sent.left) continue;
      const length = new Uint8Array(2);
      new DataView(length.buffer).setUint16(0, piece.byteLength, true);
      again.push(length, piece);
    }
    if (again.length === 0) return;
    const bytes = new Uint8Array(again.reduce((sum, part) => sum + part.byteLength, 0));
    let at = 0;
    for (const part of again) {
      bytes.set(part, at);
      at += part.byteLength;
    }
    this.#send(id, writeMessage('fragments', id, { body: bytes }));
    this.#await(id, sent, 2);
  }

  received(id: number): void {
    const sent = this.#sent.get(id);
    if (!sent) return;
    this.#failures = 0;
    this.forget(id);
  }

  /** It is answered, or nobody waits for it any more. */
  forget(id: number): void {
    clearTimeout(this.#sent.get(id)?.timer);
    this.#sent.delete(id);
  }

  close(): void {
    for (const id of [...this.#sent.keys()]) this.forget(id);
  }

  async #pieces(id: number, sent: Sent): Promise<void> {
    for (const piece of sent.pieces) {
      if (this.#sent.get(id) !== sent) return;
      if (this.#held) return this.#giveUp(id, sent);
      if (this.#inBurst >= BURST) {
        // A burst per eighth of a round trip: sixteen 1200-byte datagrams in 5 ms are 30 Mbit/s at 40 ms.
        await new Promise((done) => setTimeout(done, Math.min(20, Math.max(1, this.#srtt() / 8))));
        this.#inBurst = 0;
      }
      this.#inBurst++;
      sent.left++;
      await this.#handOver(piece);
    }
    if (this.#sent.get(id) === sent && sent.timer === undefined) this.#await(id, sent, 1);
  }

  /** Returns after a while in any case: all requests wait for their turn behind it. */
  async #handOver(piece: Uint8Array<ArrayBuffer>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(
        () => {
          this.#held = true;
          resolve();
        },
        Math.max(HELD_MS, 4 * this.#srtt()),
      );
    });
    const taken = this.#port.send(piece).then(() => {
      this.#held = false;
    });
    await Promise.race([taken, late]);
    clearTimeout(timer);
  }

  #await(id: number, sent: Sent, patience: number): void {
    clearTimeout(sent.timer);
    const wait = patience * Math.max(100, 3 * this.#srtt());
    sent.timer = setTimeout(() => this.#giveUp(id, sent), wait);
  }

  /** It goes by the stream after all. */
  #giveUp(id: number, sent: Sent): void {
    this.#failures++;
    this.forget(id);
    this.#send(id, sent.message);
  }
}
