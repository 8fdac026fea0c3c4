// Rivals: what other ways of sending one picture would weigh. It measures with the session's own runtime and sends nothing.
import { IsthmusError } from '../errors.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import type { Manifest } from '../model/manifest.ts';
import { prepareInput } from './input.ts';
import type { Loader } from './loader.ts';
import type { Rivals } from './planTypes.ts';
import type { Input } from './types.ts';

/**
 * @param quality of JPEG and WebP, 0…1
 * @throws INPUT_INVALID for tensors; the signal's reason
 */
export async function weighRivals(
  { manifest, runtime, loader }: { manifest: Manifest; runtime: HeadRuntime; loader: Loader },
  input: Input,
  cut: number,
  quality: number,
  signal: AbortSignal,
): Promise<Rivals> {
  const prepared = await prepareInput(input);
  try {
    const picture = prepared.input;
    if (picture.kind === 'tensors') {
      throw new IsthmusError(
        'INPUT_INVALID',
        'Only a picture has JPEG and WebP rivals; give one, not tensors.',
      );
    }
    await loader.upTo(cut);
    signal.throwIfAborted();
    const jpeg = await runtime.remote(picture, 'jpeg', quality);
    // Safari's canvas cannot write WebP; then there is no such rival.
    const webp = await runtime.remote(picture, 'webp', quality).catch(() => undefined);
    signal.throwIfAborted();
    const gzipFp16 = await runtime.gzipFp16Bytes(picture, cut);
    return {
      rawFloat32: manifest.cuts[cut]!.rawBytes,
      gzipFp16,
      jpeg: jpeg.frame.byteLength,
      ...(webp && { webp: webp.frame.byteLength }),
      ...(prepared.fileBytes !== undefined && { original: prepared.fileBytes }),
    };
  } finally {
    prepared.release();
  }
}
