// Candidates: the few ways of computing that can be the fastest on some link and some device. From the manifest alone;
// which of them it is, measurement tells (planner.ts).
import type { PresetName } from '../codec/params.ts';
import type { Manifest } from '../model/manifest.ts';
import type { ExitOnTheWay } from './exitShares.ts';
import { type Upload, uploadsOf } from './uploads.ts';

export interface Candidate {
  /** One per candidate: `local`, `remote`, `remote/jpeg-0.5` (quality by calibration), `neck1/isthmus`. */
  id: string;
  plan: 'split' | 'local' | 'remote';
  /** Index and name of the cut, where it splits. */
  cut?: number;
  cutName?: string;
  /** Preset of the split; format of the picture that travels. */
  preset?: string;
  /** Bytes up: of the calibration where there is one, else a guess that the first message corrects. */
  bytes: number;
  /** Share of pictures with the answer of the whole model, as calibrated; undefined where nobody measured it. */
  accuracy?: number;
  /** Quality of the picture that travels, 0…1. */
  quality?: number;
  /** Exits that may end it before it crosses, in the order in which they are asked. */
  exits?: readonly ExitOnTheWay[];
}

export interface CandidateOptions {
  /** Only this cut. */
  cut?: number | undefined;
  /** Only this preset; `custom` are parameters of the caller's own. */
  preset?: string | undefined;
  /** No cut behind this one, where tasks hang at it. */
  latest?: number | undefined;
  /** What it leaves open is the smallest that keeps `maxAccuracyLoss`, of each format, where uploads are calibrated. */
  upload?: Upload | undefined;
  /** Largest share of pictures that may be answered otherwise than by the whole model. Default 0.04. */
  maxAccuracyLoss?: number | undefined;
}

/** What the default preset `isthmus` loses on the models of this repository, and a little. */
export const ACCURACY_LOSS = 0.04;
/** Compression of features that nobody calibrated. */
const GUESSED: Record<string, number> = { raw: 1, slicer: 9, rans: 10, isthmus: 14, custom: 4 };
const PRESET: PresetName = 'isthmus';

/**
 * `local`, `remote` in one format or two, and the natural bottlenecks: cuts whose feature, encoded, weighs less than at every
 * earlier cut and less than the picture in the larger format (Neurosurgeon, Kang et al. 2017; dynamic split computing, Bakhtiarnia et
 * al. 2022). Per cut the smallest preset within the limit on accuracy, and the most accurate one below the same bound.
 */
export function candidatesOf(manifest: Manifest, options: CandidateOptions = {}): Candidate[] {
  const remotes = uploadsOf(manifest, options.upload, options.maxAccuracyLoss ?? ACCURACY_LOSS);
  const picture = Math.max(...remotes.map(({ bytes }) => bytes));
  const splits: Candidate[] = [];
  let smallest = options.cut === undefined ? picture : Number.POSITIVE_INFINITY;
  for (const [index, { name }] of manifest.cuts.entries()) {
    if (options.cut !== undefined && options.cut !== index) continue;
    if (options.latest !== undefined && index > options.latest) break;
    const [least, best] = presetsAt(manifest, index, options, smallest);
    if (!least) continue;
    smallest = Math.min(smallest, least.bytes);
    for (const p of best && best !== least ? [least, best] : [least])
      splits.push({ id: `${name}/${p.preset}`, plan: 'split', cut: index, cutName: name, ...p });
  }
  return [{ id: 'local', plan: 'local', bytes: 0, accuracy: 1 }, ...splits, ...remotes];
}

type Option = Required<Pick<Candidate, 'preset' | 'bytes'>> & Pick<Candidate, 'accuracy'>;

/** The smallest below `limit` bytes, and the most accurate below it. */
function presetsAt(
  manifest: Manifest,
  index: number,
  { preset, maxAccuracyLoss = ACCURACY_LOSS, cut: named }: CandidateOptions,
  limit: number,
): [Option | undefined, Option | undefined] {
  const { calibration = {}, rawBytes } = manifest.cuts[index]!;
  const wanted = preset ?? (Object.keys(calibration).length > 0 ? undefined : PRESET);
  const measured = Object.entries(calibration)
    .filter(([name]) => name !== 'local' && (wanted === undefined || name === wanted))
    .map(
      ([name, { bytes, agreement }]): Option => ({
        preset: name,
        bytes: bytes ?? rawBytes,
        ...(agreement !== undefined && { accuracy: agreement }),
      }),
    );
  if (wanted !== undefined && measured.length === 0)
    measured.push({ preset: wanted, bytes: Math.ceil(rawBytes / (GUESSED[wanted.split('-')[0]!] ?? 8)) });
  // A preset that the caller named is what the caller wants, whatever it costs in accuracy.
  const allowed = measured.filter(
    ({ accuracy, bytes }) =>
      bytes < limit && (preset !== undefined || accuracy === undefined || 1 - accuracy <= maxAccuracyLoss),
  );
  const sorted = (allowed.length > 0 || named === undefined ? allowed : measured).sort(
    (a, b) => a.bytes - b.bytes,
  );
  const best = sorted.reduce<Option | undefined>(
    (b, o) => ((o.accuracy ?? 0) > (b?.accuracy ?? 0) ? o : b),
    undefined,
  );
  return [sorted[0], best];
}
