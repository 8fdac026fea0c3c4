// What a link fails with: words for its end, and the error that a tail sent about the link itself.
import { IsthmusError } from '../errors.ts';
import { readFrame } from '../wire/readFrame.ts';

/** The error that an error frame stands for. */
export function tailError(body: Uint8Array): IsthmusError {
  try {
    return IsthmusError.fromJSON(readFrame(body).meta.error);
  } catch (thrown) {
    return IsthmusError.from(thrown, 'NOT_ISTHMUS', 'The tail refused the link without saying why.');
  }
}

/** Requests that it took with it may go another way. */
export const broken = (reason: string) =>
  new IsthmusError('OFFLINE', `The link to the tail broke: ${reason}. Try again, or use transport: 'fetch'.`);

export const tooLarge = (bytes: number, most: number) =>
  new IsthmusError(
    'TOO_LARGE',
    `The frame has ${bytes} bytes; this tail takes ${most}. Cut later, or use a smaller preset.`,
  );
