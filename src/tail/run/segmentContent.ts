// Reads a segment's file for a session, and reads nothing but the file that was checked when its model was loaded: from the
// open file first, so that a model that was replaced meanwhile is still whole, else from its path.
import { createHash } from 'node:crypto';
import { read } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { IsthmusError } from '../../errors.ts';
import type { SegmentFile } from './threadMessages.ts';

const readAt = promisify(read);

/**
 * @throws IsthmusError INFERENCE_FAILED when the file has gone or changed since it was checked: answers of a model that is
 *   not the one clients agreed on would look right and be wrong
 */
export async function segmentContent({ fd, path, sha256, bytes }: SegmentFile): Promise<Uint8Array> {
  const right = (content: Uint8Array | undefined) =>
    content !== undefined && createHash('sha256').update(content).digest('hex') === sha256;
  const kept = fd === undefined ? undefined : await readOpen(fd, bytes).catch(() => undefined);
  if (kept && right(kept)) return kept;
  const content = await readFile(path).catch((cause: unknown) => {
    throw changed('cannot be read any more', cause); // in words of ours: Node's message tells strangers our folders
  });
  if (!right(content)) throw changed('has changed');
  return content;
}

/** At positions of its own: other threads read the same open file. */
async function readOpen(fd: number, bytes: number): Promise<Uint8Array | undefined> {
  const content = new Uint8Array(bytes);
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await readAt(fd, content, at, bytes - at, at);
    if (bytesRead === 0) return undefined;
    at += bytesRead;
  }
  return content;
}

function changed(how: string, cause?: unknown): IsthmusError {
  return new IsthmusError(
    'INFERENCE_FAILED',
    `A segment's file ${how} since the tail loaded it. Its operator must put it back, or restart the tail.`,
    { cause },
  );
}
