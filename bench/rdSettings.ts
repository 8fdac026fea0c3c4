// The codecs of the rate–accuracy benchmark, each at several settings: a feature in, its size on the wire and what the
// tail gets out. Bytes are params and payload; rdMeasure adds header and record of the frame.
import { decodeTensor } from '../src/codec/cpu/decode.ts';
import { encodeTensor } from '../src/codec/cpu/encode.ts';
import { type CodecParams, PRESETS, type SlicerParams } from '../src/codec/params.ts';
import type { CodecProfile } from '../src/codec/profile.ts';
import { deflateInt8, gzipFp16, type Yardstick } from './codecYardsticks.ts';

export interface Coded {
  bytes: number;
  decoded: Float32Array;
}

export interface Setting {
  family: string;
  /** Tells settings of a family apart. */
  setting: string;
  /** Part of the name of what is kept, where family and setting do not say all. */
  version?: string;
  code(feature: Float32Array, shape: readonly number[]): Coded;
}

export const ISTHMUS = ['isthmus dct', 'isthmus none', 'isthmus profile'] as const;
export const SEEDS = ['slicer', 'rans'] as const;

/** Share kept → error budgets. Those that lose to a neighbour in bytes and loss everywhere are left out. */
const SLICER_GRID: readonly (readonly [keep: number, deltas: readonly number[]])[] = [
  [1, [0.01, 0.03, 0.0715]],
  [0.8, [0.03, 0.0715]],
  [0.6, [0.03, 0.17]],
  [0.4, [0.0715]],
  [0.25, [0.0715]],
];
const QUALITIES = [22.5, 30, 36, 42, 48, 54, 60] as const;
/** A profile's quality 50 is where the loss was calibrated to be small. */
const PROFILE_QUALITIES = [30, 36, 42, 48, 54, 60, 66, 72] as const;

/** Everything that is measured at a cut, the yardsticks first. `quick` keeps every other setting. */
export function cutSettings(profile: CodecProfile | undefined, quick: boolean): Setting[] {
  const thin = <T>(list: readonly T[]) => (quick ? list.filter((_, i) => i % 2 === 0) : list);
  const presets = Object.entries(PRESETS).filter(([, params]) => params.family === 'slicer');
  return [
    yardstick('fp16+gzip', gzipFp16),
    yardstick('int8+deflate', deflateInt8),
    ...presets.map(([name, params]) => coded('slicer', name, params)),
    ...thin(SLICER_GRID).flatMap(([keep, deltas]) =>
      deltas.map((delta) => coded('slicer', `keep ${keep} delta ${delta}`, slicer(keep, delta))),
    ),
    ...[2, 3, 4, 5, 6].map((bits) => coded('rans', `Q ${bits}`, { family: 'rans', bits })),
    ...(['dct', 'none'] as const).flatMap((transform) =>
      thin(QUALITIES).map((quality) =>
        coded(`isthmus ${transform}`, `quality ${quality}`, { family: 'isthmus', quality, transform }),
      ),
    ),
    ...(profile ? thin(PROFILE_QUALITIES) : []).map((quality) =>
      coded(
        'isthmus profile',
        `quality ${quality}`,
        { family: 'isthmus', quality, profile: profile! },
        profile!.name,
      ),
    ),
  ];
}

/** Blocks pay only where the budget leaves bits to save: two of them below four bits, four above. */
const slicer = (keep: number, delta: number): SlicerParams => ({
  family: 'slicer',
  keep,
  asymmetry: 1,
  blocks: delta > 0.05 ? 2 : 4,
  budget: { kind: 'max-error', delta },
});

function coded(family: string, setting: string, params: CodecParams, version?: string): Setting {
  const profile = params.family === 'isthmus' ? params.profile : undefined;
  return {
    family,
    setting,
    ...(version && { version }),
    code(data, shape) {
      const encoded = encodeTensor({ dtype: 'float32', shape, data }, params);
      const decoded = decodeTensor(encoded, { profiles: () => profile }).data as Float32Array;
      return { bytes: encoded.params.length + encoded.payload.length, decoded };
    },
  };
}

function yardstick(family: string, measure: (feature: Float32Array) => Yardstick): Setting {
  return {
    family,
    setting: '',
    code(feature) {
      const { bytes, decode } = measure(feature);
      return { bytes, decoded: decode() };
    },
  };
}
