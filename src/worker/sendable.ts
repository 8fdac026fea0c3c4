// Inputs on their way into the worker: what can be transferred is copied first, because it is the caller's. It decodes nothing.
import * as Comlink from 'comlink';
import { IsthmusError } from '../errors.ts';
import type { RuntimeInput } from '../head/runtime.ts';

/** Inputs stay usable for the caller: a bitmap is copied (inside the browser) and the copy is transferred. */
export async function sendable(input: RuntimeInput): Promise<RuntimeInput> {
  if (input.kind !== 'bitmap') return input;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(input.bitmap);
  } catch (thrown) {
    throw IsthmusError.from(
      thrown,
      'IMAGE_INVALID',
      'The bitmap was closed or transferred away. Make a new one.',
    );
  }
  return Comlink.transfer({ kind: 'bitmap', bitmap }, [bitmap]);
}
