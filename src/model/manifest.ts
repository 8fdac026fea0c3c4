// The manifest: the contract between both ends. Identity, checks, and the look-ups everyone needs (its fields: manifestSchema.ts).
// It describes a chain of segments parted by cuts; it holds no weights and does no partitioning.
import * as v from 'valibot';
import { IsthmusError } from '../errors.ts';
import {
  type Manifest,
  manifestSchema,
  type Preprocess,
  type SegmentInfo,
  type TensorInfo,
} from './manifestSchema.ts';

export type {
  CutInfo,
  ExitInfo,
  ExitRule,
  Manifest,
  Preprocess,
  SegmentInfo,
  TaskInfo,
  TensorInfo,
  UploadCalibration,
} from './manifestSchema.ts';

const hex = (bytes: ArrayBuffer) =>
  Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, '0')).join('');

/** Lower-case hex sha256 of bytes; the same call in browsers and in Node. */
export async function sha256Hex(bytes: Uint8Array): Promise<string> {
  if (!globalThis.crypto?.subtle) {
    throw new IsthmusError(
      'OPTION_INVALID',
      'Checking models needs crypto.subtle: serve the page over https or from localhost.',
    );
  }
  return hex(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
}

/**
 * Identity of a chain: what both ends must share for a feature to mean the same thing. Labels, preprocessing and
 * calibration may change without making old frames unreadable, so they are left out.
 */
export async function manifestId(m: Omit<Manifest, 'id'>): Promise<string> {
  const strip = (t: TensorInfo) => [t.name, t.dtype, t.shape];
  const core = {
    inputs: m.inputs.map(strip),
    outputs: m.outputs.map(strip),
    segments: m.segments.map((s) => s.sha256),
    cuts: m.cuts.map((c) => c.tensors.map(strip)),
    ...(m.tasks && {
      tasks: m.tasks.map((t) => [t.name, t.cut, t.segments.map((s) => s.sha256), t.outputs.map(strip)]),
    }),
  };
  return sha256Hex(new TextEncoder().encode(JSON.stringify(core)));
}

/** The task that the model's own chain is. */
export const MAIN_TASK = 'main';

/** Where a runtime keeps an exit among its segments: behind them, in the order of the manifest. */
export const exitPart = ({ segments }: Pick<Manifest, 'segments'>, exit: number) => segments.length + exit;

/** A segment, or the exit of {@link exitPart}. */
export const partOf = (
  { segments, exits = [] }: Pick<Manifest, 'segments' | 'exits'>,
  part: number,
): SegmentInfo => (part < segments.length ? segments[part]! : exits[part - segments.length]!);

/** Exits at the cuts of a head of segments 0…last, in the order in which it meets them. */
export function exitsUpTo({ exits = [] }: Pick<Manifest, 'exits'>, last: number): number[] {
  const near = exits.map((_, i) => i).filter((i) => exits[i]!.cut <= last);
  return near.sort((a, b) => exits[a]!.cut - exits[b]!.cut);
}

/** What requests may ask for. */
export function taskNames({ tasks = [] }: Pick<Manifest, 'tasks'>): string[] {
  return [MAIN_TASK, ...tasks.map((t) => t.name)];
}

/** How a task ends: its outputs in the order of replies, and what their scores are called. Undefined for no task of it. */
export function taskEnds(
  m: Manifest,
  name: string,
): Pick<Manifest, 'outputs' | 'labels' | 'postprocess'> | undefined {
  return name === MAIN_TASK ? m : m.tasks?.find((t) => t.name === name);
}

/** The 16 hex digits of the id that every frame carries. */
export function modelTag(m: Pick<Manifest, 'id'>): string {
  return m.id.slice(0, 16);
}

/**
 * Validates a manifest: schema, chain consistency, identity.
 * @throws IsthmusError MANIFEST_INVALID naming the field.
 */
export async function parseManifest(json: unknown): Promise<Manifest> {
  const result = v.safeParse(manifestSchema, json);
  if (!result.success) {
    const issue = result.issues[0];
    const path = v.getDotPath(issue) ?? 'the manifest';
    throw invalid(`${path}: ${issue.message}`);
  }
  const m = result.output;
  if (m.cuts.length !== m.segments.length - 1) {
    throw invalid(`${m.segments.length} segments need ${m.segments.length - 1} cuts, not ${m.cuts.length}`);
  }
  checkChain(m);
  checkLabels(m, '');
  checkTasks(m);
  checkExits(m);
  if (m.preprocess) checkPicture(m.preprocess, m.inputs);
  const id = await manifestId(m);
  if (id !== m.id) throw invalid(`its id is ${m.id} but its content has ${id}`);
  return m;
}

/** What a segment takes and gives, as far as both ends must agree on it. */
const signature = ({ name, dtype, shape }: TensorInfo) => `${name} ${dtype} [${shape}]`;

/**
 * Segment k takes what crosses cut k-1 and gives what crosses cut k; the ends of the chain are the model's own. The id
 * does not cover the segments' own lists, so nothing else would notice when they tell another story.
 */
function checkChain(m: Manifest): void {
  const stations = [m.inputs, ...m.cuts.map((c) => c.tensors), m.outputs];
  const names = ['inputs', ...m.cuts.map((_, i) => `cuts.${i}.tensors`), 'outputs'];
  checkSegments(m.segments, stations, names, '');
  for (const [i, { name }] of m.cuts.entries()) {
    if (m.cuts.findIndex((c) => c.name === name) !== i)
      throw invalid(`cuts.${i}.name: two cuts are called '${name}'`);
  }
}

function checkSegments(
  segments: readonly SegmentInfo[],
  stations: readonly (readonly TensorInfo[])[],
  names: readonly string[],
  path: string,
): void {
  for (const [i, { inputs, outputs }] of segments.entries()) {
    for (const [side, tensors, k] of [
      ['inputs', inputs, i],
      ['outputs', outputs, i + 1],
    ] as const) {
      const has = tensors.map(signature).join(', ');
      const wants = stations[k]!.map(signature).join(', ');
      if (has !== wants) {
        const where = `${path}segments.${i}.${side}`;
        throw invalid(`${where}: it has ${has}, but ${names[k]} of the manifest has ${wants}`);
      }
    }
  }
}

function checkLabels(ends: Pick<Manifest, 'outputs' | 'postprocess' | 'labels'>, path: string): void {
  const { outputs, postprocess: post } = ends;
  if (ends.labels && !post) throw invalid(`${path}labels need a postprocess entry`);
  if (post && !outputs.some((t) => t.name === post.output))
    throw invalid(`${path}postprocess.output: there is no output '${post.output}'`);
}

/** Each task hangs at a cut that exists, and is a chain from there to its own outputs. */
function checkTasks({ cuts, tasks = [] }: Manifest): void {
  for (const [i, t] of tasks.entries()) {
    const path = `tasks.${i}.`;
    const cut = cuts[t.cut];
    if (!cut) throw invalid(`${path}cut: there is no cut ${t.cut}`);
    if (t.name === MAIN_TASK || tasks.findIndex(({ name }) => name === t.name) !== i)
      throw invalid(`${path}name: another task is called '${t.name}'`);
    // Nothing of ours says what crosses between two segments of a task but the first of them.
    const between = t.segments.slice(0, -1).map((s) => s.outputs);
    const names = [`cuts.${t.cut}.tensors`, ...between.map((_, k) => `${path}segments.${k}.outputs`)];
    checkSegments(t.segments, [cut.tensors, ...between, t.outputs], [...names, `${path}outputs`], path);
    checkLabels(t, path);
  }
}

/** Each exit hangs at a cut that exists and gives what the model gives. */
function checkExits({ cuts, outputs, exits = [] }: Manifest): void {
  const text = (list: readonly TensorInfo[]) => list.map(signature).join(', ');
  for (const [i, exit] of exits.entries()) {
    const path = `exits.${i}.`;
    const cut = cuts[exit.cut];
    if (!cut) throw invalid(`${path}cut: there is no cut ${exit.cut}`);
    if (exits.findIndex(({ name }) => name === exit.name) !== i)
      throw invalid(`${path}name: another exit is called '${exit.name}'`);
    for (const [side, wanted, whose] of [
      ['inputs', cut.tensors, `cuts.${exit.cut}.tensors`],
      ['outputs', outputs, 'outputs'],
    ] as const)
      if (text(exit[side]) !== text(wanted))
        throw invalid(
          `${path}${side}: it has ${text(exit[side])}, but ${whose} of the manifest has ${text(wanted)}`,
        );
  }
}

/** The picture must fill its input exactly: what is allocated for it follows `crop`. */
function checkPicture(
  { input, crop: [width, height], layout }: Preprocess,
  inputs: readonly TensorInfo[],
): void {
  const target = inputs.find((t) => t.name === input);
  if (!target) throw invalid(`preprocess.input: there is no input '${input}'`);
  const filled = layout === 'NCHW' ? [1, 3, height, width] : [1, height, width, 3];
  if (concreteShape(target).join() === filled.join()) return;
  throw invalid(`preprocess.crop: a picture of [${filled}] does not fill '${input}' [${target.shape}]`);
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError(
    'MANIFEST_INVALID',
    `The manifest cannot be used: ${reason}. Make it anew with \`isthmus split\`.`,
  );
}

/** Index of a cut by name or number. @throws CUT_INVALID with the list of names. */
export function cutIndex(m: Manifest, cut: string | number): number {
  const index = typeof cut === 'number' ? cut : m.cuts.findIndex((c) => c.name === cut);
  if (Number.isInteger(index) && m.cuts[index]) return index;
  const names = m.cuts.map((c) => c.name).join(', ') || 'none';
  throw new IsthmusError('CUT_INVALID', `The model '${m.name}' has no cut '${cut}'. Its cuts: ${names}.`);
}

/** A tensor's shape for a batch of one: symbolic dimensions become 1. */
export function concreteShape(info: TensorInfo): number[] {
  return info.shape.map((d) => (typeof d === 'number' ? d : 1));
}
