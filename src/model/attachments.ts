// What attaching an exit and attaching a task share: whether tensors fit, how they are written in a sentence, and the schema's last
// word. It extracts nothing and names no files.
import { IsthmusError } from '../errors.ts';
import { type Manifest, parseManifest, type TensorInfo } from './manifest.ts';

/** Same type and rank; a free dimension that is wanted stands for any, and a batch may be fixed to the one that Isthmus runs. */
export function feeds(given: TensorInfo, wanted: TensorInfo): boolean {
  return (
    given.dtype === wanted.dtype &&
    given.shape.length === wanted.shape.length &&
    wanted.shape.every((dim, i) => {
      const there = given.shape[i];
      return typeof dim === 'string' || dim === there || (dim === 1 && typeof there === 'string');
    })
  );
}

export const text = ({ dtype, shape }: TensorInfo) => `${dtype} [${shape}]`;

export const wrong = (message: string) => new IsthmusError('OPTION_INVALID', message);

/** @param what is attached. @throws OPTION_INVALID: what the schema finds here can only come from an option. */
export async function checked(manifest: Manifest, what: 'exit' | 'task'): Promise<Manifest> {
  try {
    return await parseManifest(manifest);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new IsthmusError('OPTION_INVALID', `The ${what} does not fit the model. ${reason}`, { cause });
  }
}
