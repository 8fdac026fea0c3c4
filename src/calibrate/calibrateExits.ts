// `isthmus calibrate --exits`: a threshold for each early exit of a model folder, from pictures the model was not trained on, and what
// the exit then does on others. An exit behind another sees only the pictures that the other one let pass.
import { type InferenceSession, Tensor as OrtTensor, InferenceSession as Sessions } from 'onnxruntime-node';
import { IsthmusError } from '../errors.ts';
import { answerOf, exitValue, isEnough } from '../model/exitRule.ts';
import { concreteShape, type ExitInfo, exitsUpTo, type Manifest } from '../model/manifest.ts';
import { readManifest, readPart, updateModelFolder } from '../model/node/modelFolder.ts';
import type { Tensors } from '../tensor.ts';
import { best } from './answers.ts';
import { type ExitTrial, exitThreshold } from './exitThreshold.ts';
import { wilson } from './intervals.ts';
import { type LabelledPicture, labelledPictures } from './pictures.ts';
import { pictureSpec, readInput } from './samples.ts';
import { type Batch, SplitModel } from './splitModel.ts';

export interface CalibrateExitsOptions {
  /** Folder of labelled pictures; see {@link labelledPictures}. Those `to fit` are not used: the model may know them by heart. */
  images: string;
  /** Pictures that thresholds are fitted to, and others that the result is measured on. */
  trialImages: number;
  testImages: number;
  /** Share of the pictures ending at an exit that must get the whole model's best class, 0…1. */
  agreement: number;
  progress: (line: string) => void;
}

/** What all exits and the whole model say to one picture. */
interface Answered {
  label: number;
  /** By index of the exit; undefined where it answered nothing. */
  exits: (Float64Array | undefined)[];
  whole: Float64Array;
}

/**
 * Writes thresholds and figures into the manifest of `folder`; an exit that cannot keep the agreement loses its threshold. The
 * model's id stays.
 *
 * @throws IsthmusError OPTION_INVALID (no exits, no pictures, no picture model), MODEL_MISMATCH (the folder was split again
 *   meanwhile), what the folder's reading throws
 */
export async function calibrateExits(folder: string, options: CalibrateExitsOptions): Promise<ExitInfo[]> {
  const { images, agreement, progress } = options;
  if (!(agreement > 0 && agreement < 1))
    throw new IsthmusError(
      'OPTION_INVALID',
      `The agreement of an exit lies between 0 and 1, not at ${agreement}.`,
    );
  const model = await SplitModel.open(folder);
  const sessions: InferenceSession[] = [];
  try {
    const { manifest } = model;
    pictureSpec(manifest);
    const infos = manifest.exits ?? [];
    if (infos.length === 0) {
      throw new IsthmusError(
        'OPTION_INVALID',
        `The model '${manifest.name}' has no exits. Add one with \`isthmus exits ${folder} add\`.`,
      );
    }
    for (const info of infos) sessions.push(await sessionOf(folder, info));
    const limits = { fit: 4, trial: options.trialImages, test: options.testImages };
    const classes = manifest.labels?.length;
    const pictures = await labelledPictures(images, limits, classes);
    const collect = async (use: 'trial' | 'test') => {
      const answered: Answered[] = [];
      for (const picture of pictures[use]) {
        answered.push(await answersTo(model, sessions, picture));
        progress(
          `${use === 'trial' ? 'fitting to' : 'measuring'} pictures ${answered.length} of ${pictures[use].length}`,
        );
      }
      return answered;
    };
    let [trial, test] = [await collect('trial'), await collect('test')];
    const tested = test.length;
    const made = [...infos];
    for (const e of exitsUpTo(manifest, manifest.cuts.length - 1)) {
      const { threshold: _, calibration: __, ...info } = infos[e]!;
      const trials = trial.flatMap(({ exits, whole }): ExitTrial[] => {
        const exit = exits[e];
        return exit ? [{ exit, agrees: best(exit) === best(whole) }] : [];
      });
      const found = exitThreshold(trials, agreement);
      const ends = ({ exits }: Answered) =>
        found !== undefined && exits[e] !== undefined && isEnough(found, exitValue(found.rule, exits[e]));
      const calibration = figuresOf(test, e, ends, tested);
      made[e] = { ...info, calibration };
      if (!found) continue;
      const { rule, value } = found;
      made[e].threshold = { rule, value, agreement: calibration.agreement!, coverage: calibration.coverage! };
      [trial, test] = [trial, test].map((list) => list.filter((one) => !ends(one))) as [
        Answered[],
        Answered[],
      ];
    }
    const now = await readManifest(folder);
    const same = (a: Manifest, b: Manifest) =>
      a.id === b.id && a.exits?.map((x) => x.sha256).join() === b.exits?.map((x) => x.sha256).join();
    if (!same(now, manifest)) {
      throw new IsthmusError(
        'MODEL_MISMATCH',
        `The model in ${folder} was changed while its exits were calibrated. Calibrate them again.`,
      );
    }
    await updateModelFolder(folder, { ...now, exits: made }, new Map());
    return made;
  } finally {
    await Promise.all([model.close(), ...sessions.map((session) => session.release())]);
  }
}

async function sessionOf(folder: string, info: ExitInfo): Promise<InferenceSession> {
  const bytes = await readPart(folder, info, 'Add the exit again.');
  try {
    return await Sessions.create(bytes, { logSeverityLevel: 3 });
  } catch (thrown) {
    throw IsthmusError.from(thrown, 'INFERENCE_FAILED', `onnxruntime-node cannot load ${info.file}.`);
  }
}

async function answersTo(
  model: SplitModel,
  sessions: readonly InferenceSession[],
  picture: LabelledPicture,
): Promise<Answered> {
  const { manifest } = model;
  const { inputs, outputs, segments, exits = [] } = manifest;
  let values: Batch = new Map([[inputs[0]!.name, await readInput(picture, manifest)]]);
  const said: (Float64Array | undefined)[] = [];
  for (let k = 0; k < segments.length; k++) {
    values = await model.run(values, 1, k, k);
    for (const [e, { cut }] of exits.entries())
      if (cut === k) said[e] = answerOf(manifest, await runExit(model, sessions[e]!, values));
  }
  const answer = Object.fromEntries(
    outputs.map((info) => [
      info.name,
      { dtype: 'float32' as const, shape: concreteShape(info), data: values.get(info.name)! },
    ]),
  );
  const whole = answerOf(manifest, answer);
  if (!whole)
    throw new IsthmusError('INFERENCE_FAILED', `The model answers ${picture.path} with no numbers.`);
  return { label: picture.label, exits: said, whole };
}

async function runExit(model: SplitModel, session: InferenceSession, values: Batch): Promise<Tensors> {
  const feeds = session.inputNames.map((name) => {
    const tensor = new OrtTensor('float32', values.get(name)!, model.shapeOf(name) as number[]);
    return [name, tensor] as const;
  });
  const results = await session.run(Object.fromEntries(feeds));
  return Object.fromEntries(
    session.outputNames.map((name) => {
      const { dims, data } = results[name]!;
      return [name, { dtype: 'float32', shape: dims, data: data as Float32Array }] as const;
    }),
  );
}

/**
 * `coverage` is the share of all pictures that end at this exit, `agreement` and `top1` are of these; `alone…` is the exit on every
 * picture that reaches it, `mixed…` what they get when the others run through, `whole…` when all do.
 */
function figuresOf(
  reaching: readonly Answered[],
  e: number,
  ends: (one: Answered) => boolean,
  all: number,
): Record<string, number> {
  const figures: Record<string, number> = { images: all, reaching: reaching.length };
  const share = (name: string, hits: number, count: number) => {
    const { value, low, high } = wilson(hits, count);
    figures[name] = Number(value.toFixed(4));
    figures[`${name}Low`] = Number(low.toFixed(4));
    figures[`${name}High`] = Number(high.toFixed(4));
  };
  const count = (list: readonly Answered[], right: (one: Answered) => boolean) => list.filter(right).length;
  const says = (one: Answered) => (one.exits[e] ? best(one.exits[e]) : -1);
  const agrees = (one: Answered) => says(one) === best(one.whole);
  const ended = reaching.filter(ends);
  share('coverage', ended.length, all);
  share('agreement', count(ended, agrees), ended.length);
  share(
    'top1',
    count(ended, (one) => says(one) === one.label),
    ended.length,
  );
  share(
    'aloneTop1',
    count(reaching, (one) => says(one) === one.label),
    reaching.length,
  );
  share('aloneAgreement', count(reaching, agrees), reaching.length);
  const mixed = (one: Answered) => (ends(one) ? says(one) : best(one.whole)) === one.label;
  share('mixedTop1', count(reaching, mixed), reaching.length);
  share(
    'wholeTop1',
    count(reaching, (one) => best(one.whole) === one.label),
    reaching.length,
  );
  return figures;
}
