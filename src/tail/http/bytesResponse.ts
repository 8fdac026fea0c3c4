// A Response whose body is there as a whole. Put on a socket it is written by one call; a Response of the platform would make
// a stream of its body first and read it back piece by piece. Without a socket (in tests) it is a Response like any other.
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';

type Whole = Uint8Array<ArrayBuffer> | string;

export class BytesResponse extends Response {
  readonly #whole: Whole;
  #plain: Response | undefined;

  /** @param whole is not copied: nobody writes into it afterwards */
  constructor(whole: Whole, init?: ResponseInit) {
    super(null, init);
    this.#whole = whole;
    if (!this.headers.has('content-length')) this.headers.set('content-length', String(bytesOf(whole)));
  }

  /** For whoever wants it as the platform's: made when asked for. */
  get plain(): Response {
    this.#plain ??= new Response(this.#whole, this);
    return this.#plain;
  }

  override get body() {
    return this.plain.body;
  }
  override get bodyUsed() {
    return this.#plain?.bodyUsed ?? false;
  }
  override arrayBuffer() {
    return this.plain.arrayBuffer();
  }
  override blob() {
    return this.plain.blob();
  }
  override bytes() {
    return this.plain.bytes();
  }
  override json() {
    return this.plain.json();
  }
  override text() {
    return this.plain.text();
  }
  override clone() {
    return this.plain.clone();
  }

  /** Writes it. @returns what tells the server that it is done */
  send({ incoming, outgoing }: HttpBindings): Response {
    if (outgoing.destroyed || outgoing.headersSent) return RESPONSE_ALREADY_SENT;
    const headers = Object.fromEntries(this.headers);
    (outgoing.writeHead as (status: number, headers: Record<string, string>) => void)(this.status, headers);
    if (incoming.method === 'HEAD') outgoing.end();
    else outgoing.end(this.#whole);
    return RESPONSE_ALREADY_SENT;
  }
}

const bytesOf = (whole: Whole): number =>
  typeof whole === 'string' ? Buffer.byteLength(whole) : whole.byteLength;
