// Work of a chain: how it divides over its segments, from the manifest, so that a measured stage tells about the others.
import type { Manifest } from '../model/manifest.ts';

/** The share of a model's work in its first segments. */
export interface Work {
  /** Multiply-accumulates in millions, or the bytes of weights in their place where nobody counted. */
  total: number;
  segments: number;
  /** Share of segments 0…last, 0…1; 0 for -1. */
  upTo(last: number): number;
}

type Part = Pick<Manifest['segments'][number], 'macs' | 'bytes'>;

export function workOf({ segments }: { segments: readonly Part[] }): Work {
  const work = segments.map((part) => workOfPart({ segments }, part));
  const total = Math.max(
    1e-3,
    work.reduce((a, b) => a + b, 0),
  );
  return {
    total,
    segments: segments.length,
    upTo: (last) => work.slice(0, last + 1).reduce((a, b) => a + b, 0) / total,
  };
}

/** Work of a segment or an exit of the chain, in the units of {@link Work.total}. */
export function workOfPart({ segments }: { segments: readonly Part[] }, { macs, bytes }: Part): number {
  const counted = segments.every((s) => s.macs !== undefined);
  // About 25 multiply-accumulates per byte of weights, as in the convolutional models here.
  return (counted && macs !== undefined ? macs : 25 * bytes) / 1e6;
}
