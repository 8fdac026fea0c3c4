// The manifest: the contract between both ends. Schema, identity, and the look-ups everyone needs.
// It describes a chain of segments parted by cuts; it holds no weights and does no partitioning.
import * as v from 'valibot';
import { IsthmusError } from '../errors.ts';
import { DTYPES } from '../tensor.ts';

const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be 64 lowercase hex digits'));
const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const positive = v.pipe(v.number(), v.integer(), v.minValue(1));

const tensorInfo = v.object({
  name: v.pipe(v.string(), v.minLength(1)),
  dtype: v.picklist(DTYPES),
  /** A name stands for a dimension the caller chooses, in practice the batch; Isthmus runs it as 1. */
  shape: v.pipe(v.array(v.union([whole, v.string()])), v.maxLength(8)),
});

/** A file below the model's folder: its plain name, never a path that leaves it, and what it holds. */
const content = {
  file: v.pipe(v.string(), v.regex(/^[\w.-]+$/, 'must be a plain file name')),
  sha256,
  bytes: positive,
};

const segment = v.object({
  ...content,
  /** Multiply-accumulates of this segment for one input, where the partitioner could count them. */
  macs: v.optional(whole),
  inputs: v.pipe(v.array(tensorInfo), v.minLength(1)),
  outputs: v.pipe(v.array(tensorInfo), v.minLength(1)),
});

const cut = v.object({
  /** Short and stable, used by `--cut`: the tensor's name, or names joined by '+'. */
  name: v.pipe(v.string(), v.minLength(1)),
  tensors: v.pipe(v.array(tensorInfo), v.minLength(1)),
  /** Bytes of the raw feature for a batch of one. */
  rawBytes: whole,
  /** What family `isthmus` knows about this cut (FORMAT.md, "Profile"); made by `isthmus calibrate`. */
  profile: v.optional(v.object(content)),
  /**
   * Per preset what `isthmus calibrate` measured on `images` pictures: means `bytes`, `kl`, and shares `top1`, `agreement`,
   * with 95 % intervals in `…Low` and `…High`. `local` is the whole model.
   */
  calibration: v.optional(v.record(v.string(), v.record(v.string(), v.number()))),
});

const triple = v.pipe(v.array(v.number()), v.length(3));
const size = v.pipe(v.array(positive), v.length(2));

/**
 * How a picture becomes the input tensor: resample with the antialiased triangle filter (src/image/resample.ts),
 * centre crop, then (value/255 - mean) / std per channel.
 */
const preprocess = v.object({
  kind: v.literal('image'),
  /** Input tensor that receives the picture. */
  input: v.string(),
  /** `short`: scale so that the short side has that many pixels. `exact`: [width, height], aspect ignored. */
  resize: v.union([v.object({ short: positive }), v.object({ exact: size })]),
  /** [width, height] of the centre crop; equals `exact` where that is used. */
  crop: size,
  mean: triple,
  std: v.pipe(
    triple,
    v.check((s) => s.every((x) => x !== 0), 'std must not be 0'),
  ),
  layout: v.picklist(['NCHW', 'NHWC']),
  channels: v.picklist(['RGB', 'BGR']),
});

const schema = v.object({
  format: v.literal('isthmus-manifest/1'),
  name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][\w.-]{0,63}$/, 'must be a plain name')),
  /** sha256 of the chain itself (see manifestId); both ends refuse each other when it differs. */
  id: sha256,
  inputs: v.pipe(v.array(tensorInfo), v.minLength(1)),
  outputs: v.pipe(v.array(tensorInfo), v.minLength(1)),
  segments: v.pipe(v.array(segment), v.minLength(1)),
  /** cuts[i] parts segments[i] from segments[i+1]. */
  cuts: v.array(cut),
  preprocess: v.optional(preprocess),
  /** `softmax` when outputs[0] holds logits, `none` when it already holds probabilities. */
  postprocess: v.optional(
    v.object({ kind: v.literal('labels'), output: v.string(), scores: v.picklist(['softmax', 'none']) }),
  ),
  labels: v.optional(v.array(v.string())),
});

export type Manifest = v.InferOutput<typeof schema>;
export type SegmentInfo = v.InferOutput<typeof segment>;
export type TensorInfo = v.InferOutput<typeof tensorInfo>;
export type CutInfo = v.InferOutput<typeof cut>;
export type Preprocess = v.InferOutput<typeof preprocess>;

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
  };
  return sha256Hex(new TextEncoder().encode(JSON.stringify(core)));
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
  const result = v.safeParse(schema, json);
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
  if (m.labels && !m.postprocess) throw invalid('labels need a postprocess entry');
  if (m.postprocess && !m.outputs.some((t) => t.name === m.postprocess?.output)) {
    throw invalid(`postprocess.output: there is no output '${m.postprocess.output}'`);
  }
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
  for (const [i, { inputs, outputs }] of m.segments.entries()) {
    for (const [side, tensors, k] of [
      ['inputs', inputs, i],
      ['outputs', outputs, i + 1],
    ] as const) {
      const has = tensors.map(signature).join(', ');
      const wants = stations[k]!.map(signature).join(', ');
      if (has !== wants)
        throw invalid(`segments.${i}.${side}: it has ${has}, but ${names[k]} of the manifest has ${wants}`);
    }
  }
  for (const [i, { name }] of m.cuts.entries()) {
    if (m.cuts.findIndex((c) => c.name === name) !== i)
      throw invalid(`cuts.${i}.name: two cuts are called '${name}'`);
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
