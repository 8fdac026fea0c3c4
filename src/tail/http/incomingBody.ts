// The pieces of a body straight from Node's request. By way of a web stream each request would become a `Request` with two
// streams, all of which the garbage collector keeps for long: Node watches them by weak references.
import type { HttpBindings } from '@hono/node-server';

export type Incoming = HttpBindings['incoming'];

/**
 * Resolves at the end of the body. When `take` throws the rest stays unread; after the answer the HTTP layer drains it.
 *
 * @param take given every piece as it comes; its memory is Node's
 * @throws what `take` throws; Error when the body ends early
 */
export function readIncoming(incoming: Incoming, take: (piece: Uint8Array) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      incoming.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      settle();
    };
    const onError = (thrown: unknown) => end(() => reject(thrown));
    const onEnd = () => end(resolve);
    const onClose = () => onError(new Error('The connection was closed.'));
    const onData = (piece: Buffer) => {
      try {
        take(piece);
      } catch (thrown) {
        incoming.pause();
        onError(thrown);
      }
    };
    if (incoming.readableEnded) return resolve();
    if (incoming.destroyed) return onClose();
    incoming.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  });
}
