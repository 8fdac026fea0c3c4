// Reads a request's body with two limits: its own size, declared or counted, and the bytes that all requests together
// may hold. It looks into nothing and allocates nothing that has not arrived.
import { abortError } from '../../abort.ts';
import { IsthmusError } from '../../errors.ts';
import { type Incoming, readIncoming } from './incomingBody.ts';

/** Bytes that requests may hold at once; many large uploads together must not exhaust memory. */
export class ByteBudget {
  readonly #total: number;
  #held = 0;

  constructor(total: number) {
    this.#total = total;
  }

  get held(): number {
    return this.#held;
  }

  /** @throws IsthmusError OVERLOADED when the budget is spent. */
  take(bytes: number): void {
    if (this.#held + bytes > this.#total) {
      throw new IsthmusError('OVERLOADED', 'The tail holds too many uploads at once. Try again in a second.');
    }
    this.#held += bytes;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/**
 * The whole body in memory of its own (so that it can be moved to a worker). Its bytes stay taken from `budget` until
 * the caller gives them back; when this throws, nothing stays taken.
 *
 * @param incoming the same request as Node has it; without a socket (in tests) there is none
 * @throws IsthmusError TOO_LARGE as soon as the declared or the counted size passes `limit`; REQUEST_INVALID when the
 *   body ends early; OVERLOADED; the abort reason when the client has gone.
 */
export async function readBody(
  request: Request,
  limit: number,
  budget: ByteBudget,
  incoming?: Incoming,
): Promise<Uint8Array<ArrayBuffer>> {
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > limit) throw tooLarge(limit);
  let body = new Uint8Array(0);
  let length = 0;
  const take = (piece: Uint8Array) => {
    if (length + piece.byteLength > limit) throw tooLarge(limit);
    budget.take(piece.byteLength);
    // Copied at once: a body in chunks of one byte, kept as chunks, would take 600 times its size.
    body = withRoom(body, length, piece.byteLength, declared || limit);
    body.set(piece, length);
    length += piece.byteLength;
  };
  try {
    await (incoming ? readIncoming(incoming, take) : readStream(request.body, take));
  } catch (thrown) {
    budget.give(length);
    if (thrown instanceof IsthmusError) throw thrown;
    if (request.signal.aborted) throw abortError();
    throw new IsthmusError('REQUEST_INVALID', 'The body ended early. Send it whole.', { cause: thrown });
  }
  return length === body.byteLength ? body : body.slice(0, length);
}

async function readStream(
  stream: ReadableStream<Uint8Array> | null,
  take: (piece: Uint8Array) => void,
): Promise<void> {
  for await (const piece of stream ?? []) take(piece);
}

/** The same bytes with room for `more`: at least twice the size, so that all copies together stay a few per byte. */
function withRoom(
  body: Uint8Array<ArrayBuffer>,
  length: number,
  more: number,
  expected: number,
): Uint8Array<ArrayBuffer> {
  const needed = length + more;
  if (needed <= body.byteLength) return body;
  const larger = new Uint8Array(Math.max(needed, Math.min(2 * body.byteLength, expected)));
  larger.set(body.subarray(0, length));
  return larger;
}

function tooLarge(limit: number): IsthmusError {
  const mib = Math.round((limit / 1048576) * 100) / 100;
  return new IsthmusError(
    'TOO_LARGE',
    `The body is larger than the ${mib} MiB this tail accepts. Send less, cut later, or use a smaller preset; an operator raises the limit with --max-body.`,
  );
}
