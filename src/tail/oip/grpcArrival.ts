// Counts what has come of a gRPC message that is not whole yet: many calls that each stop in the middle would else hold
// memory that no budget knows. grpc-js puts the pieces together and says nothing of them before the last has come.
import { constants, type Http2Stream } from 'node:http2';
import type { ByteBudget } from '../http/readBody.ts';

export interface Arrival {
  /** A message is whole: whoever works on it counts it from now on. */
  here(): void;
  /** The call is over: half a message is let go, and nothing more is taken of it. */
  over(): void;
}

/**
 * @param call as grpc-js hands it to the outermost interceptor. Its HTTP/2 stream is no public part of it; in a version
 *   that has none there, the whole of the largest message is counted from the beginning.
 * @param largest bytes of a message
 * @param refuse told what the budget says when it is spent; ends the call
 */
export function countArrival(
  call: object,
  budget: ByteBudget,
  largest: number,
  refuse: (thrown: unknown) => void,
): Arrival {
  const stream = 'stream' in call ? (call.stream as Http2Stream) : undefined;
  let held = 0;
  let ended = false;
  let refused = false;
  const give = () => {
    budget.give(held);
    held = 0;
  };
  const take = (bytes: number) => {
    if (ended || refused) return;
    try {
      budget.take(bytes);
      held += bytes;
    } catch (thrown) {
      refused = true;
      refuse(thrown);
    }
  };
  if (!stream) take(largest);
  // grpc-js listens already and has stopped the stream until it wants to read; another listener does not start it.
  stream?.on('data', (piece: Buffer) => take(piece.byteLength));
  return {
    here: give,
    over() {
      ended = true;
      // The client's half would stay open, and with it what has come: the status alone does not close it.
      if (stream && !stream.closed && (held > 0 || refused)) stream.close(constants.NGHTTP2_NO_ERROR);
      give();
    },
  };
}
