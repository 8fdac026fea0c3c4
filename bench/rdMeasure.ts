// Measures one setting over all test pictures: bytes, best class and KL divergence per picture, kept on disk so that a
// run that was cut short goes on where it was. Statistics over them are rdStatistics' business.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { crops, cutShape, features, type RdSubject, runOnce, SESSION } from './rdFeatures.ts';
import { encodeCrop, type PictureSetting } from './rdRivals.ts';
import type { Setting } from './rdSettings.ts';
import { argmax, divergence } from './rdStatistics.ts';

/** One number per test picture each. */
export interface Outcome {
  /** Of a whole frame; on disk without its header and record. */
  bytes: number[];
  /** Best class. */
  top: number[];
  /** KL(uncompressed ‖ compressed) of the class probabilities, in nats. */
  kl: number[];
}

/**
 * Bytes of the frame that carries one tensor of rank 4, or a picture's record, which is as long (FORMAT.md): header, record,
 * and what is in it rounded up to words. What is kept on disk leaves them out.
 */
const frameBytes = (content: number) => 32 + 12 + 16 + 4 * Math.ceil(content / 4);
const inFrames = (outcome: Outcome): Outcome => ({ ...outcome, bytes: outcome.bytes.map(frameBytes) });

/** What is kept of a setting, or the result of `measure`, kept from then on. */
async function kept(subject: RdSubject, name: string, measure: () => Promise<Outcome>): Promise<Outcome> {
  const folder = join(subject.scratch, 'settings');
  const file = join(folder, `${name.replace(/[^\w.+-]+/g, '_')}.json`);
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as Outcome;
  const outcome = await measure();
  await mkdir(folder, { recursive: true });
  // Two runs at a time may measure the same setting; neither may see half a file of the other.
  const part = `${file}.${process.pid}`;
  await writeFile(part, JSON.stringify(outcome));
  await rename(part, file);
  return outcome;
}

/** Measures settings at one cut, with the tail's sessions open once for all of them. */
export async function measureCut(
  subject: RdSubject,
  cut: number,
  settings: readonly Setting[],
): Promise<Outcome[]> {
  const { manifest } = subject;
  const shape = cutShape(subject, cut);
  const outcomes: Outcome[] = [];
  await using tail = await openChain(subject, cut + 1);
  for (const { family, setting, version = '', code } of settings) {
    const started = performance.now();
    const name = [manifest.cuts[cut]!.name, family, setting, version].join(' ');
    outcomes.push(
      await kept(subject, name, async () => {
        const outcome = emptyOutcome();
        for await (const feature of features(subject, cut)) {
          const { bytes, decoded } = code(feature, shape);
          note(outcome, subject, bytes, await tail.run(decoded, shape));
        }
        const seconds = Math.round((performance.now() - started) / 1000);
        console.log(`  ${manifest.name} ${name}: ${seconds} s`);
        return outcome;
      }),
    );
  }
  return outcomes.map(inFrames);
}

/** Measures the rivals: the picture itself travels, and the whole model runs on what arrives. */
export async function measurePictures(
  subject: RdSubject,
  settings: readonly PictureSetting[],
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  await using chain = await openChain(subject, 0);
  for (const setting of settings) {
    const name = `picture ${setting.format} ${setting.quality}`;
    outcomes.push(
      await kept(subject, name, async () => {
        const outcome = emptyOutcome();
        for await (const crop of crops(subject)) {
          const { bytes, input } = await encodeCrop(crop, subject.manifest.preprocess!, setting);
          note(outcome, subject, bytes, await chain.run(input.data as Float32Array, input.shape));
        }
        console.log(`  ${subject.manifest.name} ${name}`);
        return outcome;
      }),
    );
  }
  return outcomes.map(inFrames);
}

interface Chain extends AsyncDisposable {
  /** From the input of the first segment to the logits. */
  run(data: Float32Array, shape: readonly number[]): Promise<Float32Array>;
}

/** Sessions open with the first picture: what is kept needs none. */
async function openChain({ files }: RdSubject, first: number): Promise<Chain> {
  let opened: Promise<ort.InferenceSession[]> | undefined;
  const open = () =>
    Promise.all(
      [...files.values()].slice(first).map((segment) => ort.InferenceSession.create(segment, SESSION)),
    );
  return {
    async run(data, shape) {
      opened ??= open();
      let value: ort.Tensor = new ort.Tensor('float32', data, [...shape]);
      for (const session of await opened) value = await runOnce(session, value);
      return value.data as Float32Array;
    },
    async [Symbol.asyncDispose]() {
      if (opened) await Promise.all((await opened).map((session) => session.release()));
    },
  };
}

const emptyOutcome = (): Outcome => ({ bytes: [], top: [], kl: [] });

/** Appends the next picture. */
function note(outcome: Outcome, { logits, classes }: RdSubject, bytes: number, answer: Float32Array): void {
  const i = outcome.bytes.length;
  outcome.bytes.push(bytes);
  outcome.top.push(argmax(answer));
  outcome.kl.push(divergence(logits.subarray(i * classes, (i + 1) * classes), answer));
}
