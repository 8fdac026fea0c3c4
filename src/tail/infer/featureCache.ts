// The feature cache: keeps features that clients asked to keep, so that another task can be asked of one without sending it again.
// They stay as they came, encoded, for a short time and within a bound of bytes. It decodes and runs nothing.
import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { EncodedTensor } from '../../codec/params.ts';
import { IsthmusError } from '../../errors.ts';
import type { Frame } from '../../wire/layout.ts';

export interface FeatureCacheOptions {
  /** Bytes that all features together may take, default 64 MiB; 0 keeps none. */
  bytes?: number | undefined;
  /** Milliseconds that a feature is kept, default 60 000. Using it does not prolong them. */
  ttlMs?: number | undefined;
}

export interface FeatureCache {
  /** Bytes held now. */
  readonly bytes: number;
  /** False where this tail keeps nothing. */
  readonly open: boolean;
  /** A copy of what will be kept; taken before the frame's bytes move away. */
  copy(frame: Frame): KeptFeature;
  /** Keeps it. @returns its name, 128 random bits in base64url; undefined when it is larger than the whole cache */
  put(subject: string, feature: KeptFeature): string | undefined;
  /** @throws IsthmusError FEATURE_GONE, also for another subject's, another version's and another cut's feature */
  get(subject: string, id: string, frame: Pick<Frame, 'modelTag' | 'cut'>): EncodedTensor[];
}

export type KeptFeature = Pick<Frame, 'modelTag' | 'cut' | 'tensors'>;

/** What an entry costs beside its payloads. */
const OVERHEAD = 1024;

const size = ({ tensors }: KeptFeature) =>
  tensors.reduce((sum, t) => sum + t.payload.byteLength + t.params.byteLength, OVERHEAD);

/** Bytes of their own: those that are given to a thread are moved away. */
const copied = (tensors: readonly EncodedTensor[]): EncodedTensor[] =>
  tensors.map((t) => ({ ...t, params: t.params.slice(), payload: t.payload.slice() }));

export function createFeatureCache({
  bytes = 64 * 1024 * 1024,
  ttlMs = 60_000,
}: FeatureCacheOptions = {}): FeatureCache {
  const kept =
    bytes > 0
      ? new LRUCache<string, KeptFeature & { subject: string }>({
          maxSize: bytes,
          ttl: ttlMs,
          ttlAutopurge: true,
          sizeCalculation: size,
        })
      : undefined;
  return {
    get bytes() {
      return kept?.calculatedSize ?? 0;
    },
    open: kept !== undefined,
    copy: ({ modelTag, cut, tensors }) => ({ modelTag, cut, tensors: copied(tensors) }),
    put(subject, feature) {
      const id = randomBytes(16).toString('base64url');
      kept?.set(id, { ...feature, subject });
      return kept?.has(id) ? id : undefined;
    },
    get(subject, id, { modelTag, cut }) {
      const found = kept?.get(id);
      if (found?.subject === subject && found.modelTag === modelTag && found.cut === cut)
        return copied(found.tensors);
      throw new IsthmusError(
        'FEATURE_GONE',
        `The feature '${id}' is not kept (any more) for this client, model and cut. Send it again.`,
      );
    },
  };
}
