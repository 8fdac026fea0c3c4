// The figures Q1 and Q2 of the rate–accuracy benchmark: bytes at equal loss, against the picture upload and against the
// seeds, with bootstrap intervals over pictures.

import { ISTHMUS, SEEDS } from './rdSettings.ts';
import {
  bytesAtDivergence,
  bytesAtLoss,
  type Crossing,
  divergenceOfOnePoint,
  interval,
  type Point,
  pointOf,
  resamples,
  type Sample,
  type Sampled,
} from './rdStatistics.ts';
import type { Row } from './report.ts';

/** Mean KL divergence, in nats, that counts as the same loss for every model. */
export const FIXED_KL = 0.03;
const RESAMPLES = 400;

/** One setting with what was measured of it. `cut` is empty for the picture upload. */
export interface Measured extends Sampled {
  cut: string;
  family: string;
}

/** What "equal loss" means. */
const CRITERIA = ['KL 0.03', 'KL of 1 point', '1 point'] as const;
type Criterion = (typeof CRITERIA)[number];

interface Reached extends Crossing {
  family: string;
}

/** Bytes at equal loss on one sample of pictures. */
interface Comparison {
  isthmus: Reached;
  plain: Reached;
  seed: Reached;
  upload: Reached;
  /** The divergence that was asked for; NaN under '1 point'. */
  kl: number;
}

const UPLOADS = ['jpeg', 'webp'];
/** Without calibration. */
const PLAIN = ISTHMUS.filter((family) => family !== 'isthmus profile');

/** Rows of both figures for one model. */
export interface Figures {
  /** Q1, at the cut where isthmus needs the fewest bytes; one row per criterion. */
  q1: Row[];
  /** Q2, one row per criterion and cut. */
  q2: Row[];
}

/**
 * @param labels - true class of each picture
 * @param whole - best class of the uncompressed model
 */
export function figures(
  model: string,
  measured: readonly Measured[],
  labels: readonly number[],
  whole: readonly number[],
): Figures {
  const right = labels.map((label, i) => whole[i] === label);
  const all = Uint32Array.from(labels.keys());
  const cuts = [...new Set(measured.map(({ cut }) => cut))].filter((cut) => cut !== '');
  // Points first: every criterion and cut looks at the same ones.
  const samples = [all, ...resamples(labels.length, RESAMPLES)];
  const points = samples.map((sample: Sample) => measured.map((m) => pointOf(m, sample, labels, right)));
  const both = CRITERIA.map((criterion): Figures => {
    const compared = cuts.map((cut) => {
      const [once, ...again] = points.map((of) => compare(measured, of, cut, criterion));
      return { head: { model, criterion, cut, KL: shown(once!.kl, 4) }, once: once!, again };
    });
    const bytes = (c: (typeof compared)[number]) => c.once.isthmus.bytes || Number.POSITIVE_INFINITY; // NaN: never
    const best = compared.reduce((a, b) => (bytes(b) < bytes(a) ? b : a));
    return { q1: [uploadRow(best)], q2: compared.map(seedRow) };
  });
  return { q1: both.flatMap(({ q1 }) => q1), q2: both.flatMap(({ q2 }) => q2) };
}

function compare(
  measured: readonly Measured[],
  points: readonly Point[],
  cut: string,
  criterion: Criterion,
): Comparison {
  const kl =
    criterion === '1 point' ? Number.NaN : criterion === 'KL 0.03' ? FIXED_KL : divergenceOfOnePoint(points);
  const best = (families: readonly string[], at: string): Reached =>
    families
      .map((family): Reached => {
        const curve = points.filter((_, i) => measured[i]!.family === family && measured[i]!.cut === at);
        const reached = criterion === '1 point' ? bytesAtLoss(curve, 0.01) : bytesAtDivergence(curve, kl);
        return { family, ...reached };
      })
      .reduce((a, b) => (Number.isNaN(a.bytes) || b.bytes < a.bytes ? b : a));
  return {
    isthmus: best(ISTHMUS, cut),
    plain: best(PLAIN, cut),
    seed: best(SEEDS, cut),
    upload: best(UPLOADS, ''),
    kl,
  };
}

interface Compared {
  head: Row;
  once: Comparison;
  again: readonly Comparison[];
}

function uploadRow({ head, once, again }: Compared): Row {
  return {
    ...head,
    isthmus: shown(once.isthmus.bytes, 0),
    by: named(once.isthmus),
    upload: shown(once.upload.bytes, 0),
    'by upload': named(once.upload),
    ...ratio('Q1', once, again, (c) => [c.isthmus, c.upload]),
  };
}

function seedRow({ head, once, again }: Compared): Row {
  return {
    ...head,
    isthmus: shown(once.isthmus.bytes, 0),
    by: named(once.isthmus),
    'no profile': shown(once.plain.bytes, 0),
    seed: shown(once.seed.bytes, 0),
    'by seed': named(once.seed),
    upload: shown(once.upload.bytes, 0),
    ...ratio('Q2', once, again, (c) => [c.isthmus, c.seed]),
    ...ratio('no profile Q2', once, again, (c) => [c.plain, c.seed]),
  };
}

/**
 * Ours / the rival's, with its bootstrap interval. `bound` is ≥ where the rival's coarsest setting loses less than was asked
 * for, so that fewer bytes might do for it; ≤ where ours does; ? where both do.
 */
function ratio(
  name: string,
  once: Comparison,
  again: readonly Comparison[],
  sides: (c: Comparison) => readonly [ours: Reached, rival: Reached],
): Row {
  const [ours, rival] = sides(once);
  const [low, high] = interval(again.map((c) => quotient(...sides(c))));
  const bound = ours.atMost && rival.atMost ? '?' : rival.atMost ? '≥' : ours.atMost ? '≤' : '';
  return {
    [name]: shown(quotient(ours, rival), 3),
    [`${name} low`]: shown(low, 3),
    [`${name} high`]: shown(high, 3),
    [`${name} bound`]: bound,
  };
}

/**
 * Where our curve never gets there, it would need any number of bytes. Where the rival's does not, a finer setting than was
 * measured might: NaN, which is not counted in our favour.
 */
function quotient(ours: Reached, rival: Reached): number {
  if (Number.isNaN(ours.bytes) && !Number.isNaN(rival.bytes)) return Number.POSITIVE_INFINITY;
  return ours.bytes / rival.bytes;
}

const shown = (x: number, digits: number) => (Number.isFinite(x) ? Number(x.toFixed(digits)) : null);
const named = ({ family, bytes, atMost }: Reached) =>
  Number.isNaN(bytes) ? 'none reaches it' : `${atMost ? '≤ ' : ''}${family.replace('isthmus ', '')}`;
