// A part of an open file as the body of an answer. The file belongs to its model and outlives every download: Node's own stream
// would close it when a client goes away in the middle, and every later download of that segment would break.
import { read } from 'node:fs';
import { promisify } from 'node:util';

const readAt = promisify(read);
const CHUNK_BYTES = 64 * 1024;

/**
 * @param start, end first and last byte, both inclusive
 * @param release called once, when nothing reads any more: at the end, after an error, or when nobody wants the rest
 */
export function filePart(
  fd: number,
  start: number,
  end: number,
  release: () => void,
): ReadableStream<Uint8Array> {
  let at = start;
  let reading: Promise<unknown> = Promise.resolve();
  let held = true;
  const letGo = () => {
    if (held) release();
    held = false;
  };

  async function next(): Promise<Uint8Array> {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end + 1 - at));
    const { bytesRead } = await readAt(fd, chunk, 0, chunk.byteLength, at);
    if (bytesRead === 0) throw new Error('the file has become shorter');
    at += bytesRead;
    return chunk.subarray(0, bytesRead);
  }

  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        if (at <= end) {
          const piece = next();
          reading = piece.catch(() => undefined);
          controller.enqueue(await piece);
        }
        if (at <= end) return;
        controller.close();
        letGo();
      } catch (thrown) {
        letGo();
        throw thrown;
      }
    },
    async cancel() {
      await reading; // the number must not become another file's under it
      letGo();
    },
  });
}
