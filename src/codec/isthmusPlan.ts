// What family `isthmus` is asked to do, and the whole numbers that its encoders compute with. Shared by both ends;
// floats end here, so that every encoder given the same plan makes the same bytes.
import { bad, inRange } from './checks.ts';
import type { CodecProfile } from './profile.ts';

/**
 * Family `isthmus` (FORMAT.md): transform, dead-zone quantiser, contexts, rANS. At most one of `quality`, `step`,
 * `targetBytes` and `targetDistortion` says how fine; quality 50 when none does.
 */
export interface IsthmusParams {
  family: 'isthmus';
  /** 0…100; 12.5 more halves the step. 50: the calibrated step of the profile; without one 1/12 of the largest magnitude. */
  quality?: number;
  /** Step of the quantiser in units of the feature. */
  step?: number;
  /** Bytes of params and payload that shall not be exceeded; the finest step of a ladder that does it, else the coarsest. */
  targetBytes?: number;
  /** Largest squared error relative to the squared coefficients, 0…1; the coarsest step of a ladder that keeps it. */
  targetDistortion?: number;
  /** What calibration found out about this cut; both ends need it. */
  profile?: CodecProfile;
  /** Without a profile: block transform of the last two dimensions, or none, which suits sparse, wide features. Default `dct`. */
  transform?: 'dct' | 'none';
  /** Without a profile: tables of the format, or sent with each frame, which pays from about 30,000 elements. Default: by size. */
  tables?: 'default' | 'sent';
  /** Lanes of the entropy coder, a power of two up to 1024; by default chosen from the number of symbols. */
  lanes?: number;
  /** Refuse NaN and infinity instead of replacing them. */
  strict?: boolean;
}

/** How the step comes about. */
type StepRule =
  /** A share of the largest fixed-point magnitude, in Q16. */
  | { kind: 'relative'; budgetQ16: number }
  /** Fixed-point units, 1…65536. */
  | { kind: 'fixed'; step: number }
  /** The bits of a positive float32 in units of the feature. */
  | { kind: 'absolute'; bits: number }
  /** Searched for on the ladder; see {@link LADDER}. */
  | { kind: 'bytes'; target: number }
  | { kind: 'distortion'; target: number };

export interface IsthmusPlan {
  profile: CodecProfile | undefined;
  step: StepRule;
  /** Without a profile. */
  transform: 'dct' | 'none';
  sentTables: boolean | undefined;
  lanes: number | undefined;
  strict: boolean;
}

/** Steps that rate control tries: four to an octave, 1…65536. */
export const LADDER: readonly number[] = Array.from({ length: 65 }, (_, k) =>
  Math.floor(([32768, 38968, 46341, 55109][k % 4]! * 2 ** Math.floor(k / 4)) / 32768),
);

/** Validates parameters and turns them into whole numbers. @throws IsthmusError CODEC_INVALID */
export function planIsthmus(p: IsthmusParams): IsthmusPlan {
  const { profile, lanes } = p;
  const wishes = [p.quality, p.step, p.targetBytes, p.targetDistortion].filter((x) => x !== undefined);
  if (wishes.length > 1) throw bad('Give only one of quality, step, targetBytes and targetDistortion.');
  if (p.transform !== undefined && p.transform !== 'dct' && p.transform !== 'none')
    throw bad(`transform must be 'dct' or 'none', not '${p.transform}'.`);
  if (p.tables !== undefined && p.tables !== 'default' && p.tables !== 'sent')
    throw bad(`tables must be 'default' or 'sent', not '${p.tables}'.`);
  if (lanes !== undefined && !Number.isInteger(Math.log2(inRange('lanes', lanes, 1, 1024))))
    throw bad(`lanes must be a power of two, not ${lanes}.`);
  return {
    profile,
    step: stepRule(p),
    transform: p.transform ?? 'dct',
    sentTables: p.tables === undefined ? undefined : p.tables === 'sent',
    lanes,
    strict: p.strict ?? false,
  };
}

function stepRule(p: IsthmusParams): StepRule {
  if (p.targetBytes !== undefined)
    return { kind: 'bytes', target: inRange('targetBytes', p.targetBytes, 1, 2 ** 31) };
  if (p.targetDistortion !== undefined)
    return { kind: 'distortion', target: inRange('targetDistortion', p.targetDistortion, 0, 1) };
  if (p.step !== undefined) {
    const step = Math.fround(inRange('step', p.step, 2 ** -126, 2 ** 127));
    return { kind: 'absolute', bits: new Uint32Array(Float32Array.of(step).buffer)[0]! };
  }
  const factor = 2 ** ((50 - inRange('quality', p.quality ?? 50, 0, 100)) / 12.5);
  if (p.profile) {
    const step = Math.min(65536, Math.max(1, Math.round(p.profile.step * factor)));
    return { kind: 'fixed', step };
  }
  return { kind: 'relative', budgetQ16: Math.min(65536, Math.round((65536 * factor) / 12)) };
}

/** Default number of lanes for `symbols` in `rows`; see FORMAT.md. */
export function isthmusLanes(symbols: number, rows: number): number {
  const wanted = Math.min(256, rows, symbols / 16384);
  return wanted < 2 ? 1 : 2 ** Math.floor(Math.log2(wanted));
}

/** From this many elements on, frames without a profile carry their own tables unless told otherwise. */
export const SENT_TABLES_FROM = 32768;
