// Profiles: gives family `isthmus` the calibrated profile of the cut, fetched like a segment and kept in memory. It sits
// between the runtime (which knows the cut) and the encoders (which want parameters complete).
import type { CodecParams } from '../codec/params.ts';
import { type CodecProfile, misfit, parseProfile, viewOf } from '../codec/profile.ts';
import { IsthmusError } from '../errors.ts';
import { type CutInfo, concreteShape } from '../model/manifest.ts';
import type { LoadOptions } from './runtime.ts';
import type { SegmentRequest } from './store/modelStore.ts';

/** How many profiles stay parsed; each is some ten kilobytes to a few megabytes. */
const KEPT = 8;

/** Fetches a verified file by its sha256. */
type Fetcher = (request: SegmentRequest) => Promise<Uint8Array>;

export class Profiles {
  readonly #get: Fetcher;
  readonly #known = new Map<string, Promise<CodecProfile>>();

  constructor(get: Fetcher) {
    this.#get = get;
  }

  /**
   * `codec` with the profile of the cut, where the manifest has one and the caller decided nothing else: parameters that
   * bring a profile, a transform or tables stay as they are.
   *
   * @throws IsthmusError what fetching throws; MANIFEST_INVALID when the file is no profile, or
   *   that of another cut
   */
  async complete(
    codec: CodecParams,
    { manifest, artifacts, token }: LoadOptions,
    cut: number,
  ): Promise<CodecParams> {
    const file = manifest.cuts[cut]?.profile;
    if (codec.family !== 'isthmus' || !file) return codec;
    if (codec.profile || codec.transform !== undefined || codec.tables !== undefined) return codec;
    const { sha256, bytes } = file;
    let profile = this.#known.get(sha256);
    if (!profile) {
      profile = this.#get({ artifacts, sha256, bytes, token }).then((content) => parse(content, sha256));
      this.#known.set(sha256, profile);
      profile.catch(() => this.#known.delete(sha256)); // the next call tries again
      if (this.#known.size > KEPT) this.#known.delete(this.#known.keys().next().value!);
    }
    return { ...codec, profile: fitting(await profile, manifest.cuts[cut]!) };
  }
}

// What the codec calls CODEC_INVALID, a mistake of the caller that no other plan would mend, is the manifest's fault here.

function parse(content: Uint8Array, sha256: string): CodecProfile {
  try {
    return parseProfile(content, sha256.slice(0, 16));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new IsthmusError(
      'MANIFEST_INVALID',
      `The manifest names a codec profile that cannot be used. ${reason}`,
      { cause },
    );
  }
}

/** The profile, once it is clear that it suits this cut, for the batch of one that crosses it. */
function fitting(profile: CodecProfile, { name, tensors }: CutInfo): CodecProfile {
  for (const info of tensors) {
    if (info.dtype !== 'float32' && info.dtype !== 'float16') continue;
    const reason = misfit(viewOf(concreteShape(info)), profile);
    if (reason)
      throw new IsthmusError(
        'MANIFEST_INVALID',
        `The manifest gives the cut '${name}' a codec profile that does not fit it: ${reason}. Calibrate the model again.`,
      );
  }
  return profile;
}
