// `isthmus bench rd`: rate and accuracy on real pictures. Every codec at several settings at every cut, beside JPEG and WebP
// of the picture itself: bytes, top-1, agreement with the uncompressed model, KL. Then bytes at equal loss: Q1 and Q2.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../src/errors.ts';
import type { Partition } from '../src/model/index.ts';
import { packageRoot } from './datasets.ts';
import { prepareSubject, type RdSubject } from './rdFeatures.ts';
import { FIXED_KL, figures, type Measured } from './rdFigures.ts';
import { measureCut, measurePictures } from './rdMeasure.ts';
import { pictureFolder, RD_MODELS, type RdModel, splitModel, testPictures } from './rdModels.ts';
import { type Curve, type Panel, plot } from './rdPlot.ts';
import { ensureCalibrated, type FoundProfile, readProfiles } from './rdProfiles.ts';
import { pictureSettings } from './rdRivals.ts';
import { cutSettings } from './rdSettings.ts';
import { argmax, frontier, meanError, pointOf, type Sampled, wilson } from './rdStatistics.ts';
import { type BenchOptions, machine, mean, publish, type Row, table } from './report.ts';

export interface RdOptions extends BenchOptions {
  images?: number;
  /** Names, separated by commas. */
  models?: string;
  /** Folder of model folders with calibrated profiles. */
  profiles?: string;
  /** Folder for rd-<model>.svg. */
  plots?: string;
}

interface Result extends Measured {
  setting: string;
  elements: number;
}

/** What was measured stays in a scratch folder, so that a run that was cut short goes on where it stopped. */
export async function benchRd(options: RdOptions): Promise<void> {
  const { data, quick = false } = options;
  if (!data)
    throw new IsthmusError(
      'OPTION_INVALID',
      'Rate and accuracy need real pictures: name their folder with --data.',
    );
  const limit = options.images ?? (quick ? 40 : 300);
  const rows: Row[] = [];
  const q1: Row[] = [];
  const q2: Row[] = [];
  for (const model of chosen(options.models)) {
    console.log(`${model.name}: ${limit} pictures …`);
    const split = await splitModel(model, data);
    const subject = await prepareSubject(split, await testPictures(model, data, limit));
    const results = await measure(subject, await profilesOf(model, split, options), quick);
    rows.push(...results.map((result) => row(subject, result)));
    const labels = subject.pictures.map(({ label }) => label ?? -1);
    const found = figures(model.name, results, labels, wholeAnswers(subject));
    q1.push(...found.q1);
    q2.push(...found.q2);
    if (options.plots)
      await writeFile(join(options.plots, `rd-${model.name}.svg`), curvesOf(subject, results));
  }
  const tables = [table(rows), EXPLAINED, table(q1), table(q2)].join('\n\n');
  const tagged = Object.entries({ rate: rows, Q1: q1, Q2: q2 }).flatMap(([name, list]) =>
    list.map((row): Row => ({ table: name, ...row })),
  );
  await publish({ machine: machine(), adapter: 'CPU: onnxruntime-node', rows: tagged }, options, tables);
}

function chosen(names: string | undefined): readonly RdModel[] {
  const wanted = names?.split(',');
  const unknown = wanted?.find((name) => !RD_MODELS.some((model) => model.name === name));
  if (!unknown) return RD_MODELS.filter(({ name }) => !wanted || wanted.includes(name));
  throw new IsthmusError(
    'OPTION_INVALID',
    `There is no model '${unknown}' here; there are ${RD_MODELS.map((model) => model.name).join(', ')}.`,
  );
}

/** Of the embedded model its own, unless `--profiles` says otherwise. */
async function profilesOf(
  model: RdModel,
  split: Partition,
  { data, profiles }: RdOptions,
): Promise<Map<string, FoundProfile>> {
  const folder = join(profiles ?? join(packageRoot, 'models'), model.name);
  if (profiles) await ensureCalibrated(folder, split, pictureFolder(model, data!));
  const found = await readProfiles(folder);
  const without = split.manifest.cuts.map(({ name }) => name).filter((name) => !found.has(name));
  if (without.length > 0) console.log(`  ${model.name}: no profile for ${without.join(', ')} in ${folder}`);
  return found;
}

async function measure(
  subject: RdSubject,
  profiles: ReadonlyMap<string, FoundProfile>,
  quick: boolean,
): Promise<Result[]> {
  const { manifest } = subject;
  const rivals = pictureSettings(quick);
  const pictures = await measurePictures(subject, rivals);
  const results = rivals.map(({ format, quality }, i): Result => {
    const [width, height] = manifest.preprocess!.crop as [number, number];
    const setting = `quality ${quality}`;
    return { cut: '', family: format, setting, elements: 3 * width * height, ...pictures[i]! };
  });
  for (const [cut, { name, rawBytes }] of manifest.cuts.entries()) {
    const settings = cutSettings(profiles.get(name)?.profile, quick);
    const outcomes = await measureCut(subject, cut, settings);
    results.push(
      ...settings.map(({ family, setting }, i): Result => {
        return { cut: name, family, setting, elements: rawBytes / 4, ...outcomes[i]! };
      }),
    );
  }
  return results;
}

/** Best class of the uncompressed model for each picture. */
const wholeAnswers = ({ logits, classes, pictures }: RdSubject) =>
  pictures.map((_, i) => argmax(logits.subarray(i * classes, (i + 1) * classes)));

function row(subject: RdSubject, { cut, family, setting, elements, bytes, top, kl }: Result): Row {
  const n = subject.pictures.length;
  const whole = wholeAnswers(subject);
  const share = (name: string, hits: number): Row => {
    const [low, high] = wilson(hits, n);
    return { [name]: round(hits / n), [`${name} low`]: round(low), [`${name} high`]: round(high) };
  };
  const count = (matches: (i: number) => boolean) => subject.pictures.filter((_, i) => matches(i)).length;
  return {
    model: subject.manifest.name,
    cut,
    family,
    setting,
    images: n,
    bytes: Math.round(mean(bytes)),
    'bytes ±': Math.round(meanError(bytes)),
    'bits/element': Number(((8 * mean(bytes)) / elements).toFixed(3)),
    ...share(
      'top-1',
      count((i) => top[i] === subject.pictures[i]!.label),
    ),
    'top-1 whole': round(count((i) => whole[i] === subject.pictures[i]!.label) / n),
    ...share(
      'agree',
      count((i) => top[i] === whole[i]),
    ),
    KL: Number(mean(kl).toPrecision(3)),
  };
}

const round = (x: number) => Number(x.toFixed(4));

function curvesOf(subject: RdSubject, results: readonly Result[]): string {
  const { manifest, pictures } = subject;
  const panels = manifest.cuts.map(({ name, tensors }): Panel => {
    const here = results.filter(({ cut }) => cut === name || cut === '');
    const families = [...new Set(here.map(({ family }) => family))];
    const shape = tensors[0]!.shape.slice(1).join('×');
    return {
      title: `${name}, ${shape}`,
      curves: families.map((family) => curve(subject, family, here)),
    };
  });
  const title = `${manifest.name}: bytes and agreement`;
  const description = `Agreement of the best class with the uncompressed model on ${pictures.length} pictures over the bytes sent for each, per cut and codec, and for the picture itself as JPEG and WebP.`;
  return plot(title, description, panels);
}

/** The settings of a family that are worth choosing. */
function curve(subject: RdSubject, family: string, results: readonly Result[]): Curve {
  const whole = wholeAnswers(subject);
  const all = Uint32Array.from(whole.keys());
  const none = whole.map(() => false);
  const agreement = ({ top }: Sampled) => top.filter((t, i) => t === whole[i]).length / whole.length;
  const points = results
    .filter((result) => result.family === family)
    .map((result) => ({ ...pointOf(result, all, [], none), y: agreement(result) }));
  const kept = new Set<unknown>(frontier(points));
  return {
    family,
    points: points.filter((point) => kept.has(point)).sort((a, b) => a.bytes - b.bytes),
  };
}

const EXPLAINED = [
  'Bytes per picture at equal loss, of whole frames, for features and uploaded pictures alike; intervals are 95 % bootstrap',
  'intervals over pictures. The best cut of Q1 is chosen on the same pictures.',
  `KL ${FIXED_KL}: mean KL to the uncompressed output, in nats. KL of 1 point: the KL at which this model loses one point`,
  'of top-1, fitted over all rows. 1 point: where top-1 itself has fallen by one point (isotonic fit, noisy).',
  '≤: the coarsest setting loses less than that; a ratio to such a rival is a lower bound, ≥.',
  'Q1 = isthmus at its best cut / best of JPEG and WebP; reach ≤ 0.15, beyond ≤ 0.08.',
  'Q2 = isthmus / best seed at each cut; reach ≤ 0.50, beyond ≤ 0.35.',
].join('\n');
