// The manifest's fields, as a schema: what a manifest.json may hold. What must hold between fields is checked by manifest.ts.
import * as v from 'valibot';
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

/** `softmax` when the output holds logits, `none` when it already holds probabilities. */
const postprocess = v.object({
  kind: v.literal('labels'),
  output: v.string(),
  scores: v.picklist(['softmax', 'none']),
});

/** Another tail for the feature at a cut: a chain of its own that ends in outputs of its own. */
const task = v.object({
  /** What requests ask for; the chain of the model itself is the task `main`. */
  name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][\w.-]{0,63}$/, 'must be a plain name')),
  /** Index of the cut whose tensors feed it: the transmitted one, or one behind it. */
  cut: whole,
  /** The first takes what crosses the cut, each other one what the one before gives. */
  segments: v.pipe(v.array(segment), v.minLength(1)),
  outputs: v.pipe(v.array(tensorInfo), v.minLength(1)),
  postprocess: v.optional(postprocess),
  labels: v.optional(v.array(v.string())),
});

/** A short end of the model at a cut, on the same device as the head: it answers where it is sure enough. */
const exit = v.object({
  name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][\w.-]{0,63}$/, 'must be a plain name')),
  /** Index of the cut whose tensors feed it. */
  cut: whole,
  ...segment.entries,
  /** When it is sure enough; made by `isthmus calibrate --exits`. Without one it never ends a run by itself. */
  threshold: v.optional(
    v.object({
      /** Largest probability, its distance to the second, or entropy in nats, of the labelled output (else the first). */
      rule: v.picklist(['confidence', 'margin', 'entropy']),
      /** Enough at or above it, for `entropy` at or below it. */
      value: v.number(),
      /** Among pictures that end here: share whose best class is the whole model's. */
      agreement: v.number(),
      /** Share of all pictures that end here. */
      coverage: v.number(),
    }),
  ),
  /** What was measured on `images` other pictures, with 95 % intervals in `…Low` and `…High`; docs/exits.md. */
  calibration: v.optional(v.record(v.string(), v.number())),
});

const MAX_EXITS = 8;

/** More could not be asked for in one request. */
const MAX_TASKS = 31;

/** The `remote` plan's pictures, measured by `isthmus calibrate`: the fields of `figures` are those of a cut's calibration. */
const uploads = v.object({
  /** What wrote the pictures: browsers have encoders of their own, whose files of the same quality differ. */
  encoder: v.string(),
  settings: v.array(
    v.object({
      format: v.picklist(['jpeg', 'webp']),
      /** 0…1, as for a canvas. */
      quality: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
      figures: v.record(v.string(), v.number()),
    }),
  ),
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

export const manifestSchema = v.object({
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
  postprocess: v.optional(postprocess),
  labels: v.optional(v.array(v.string())),
  /** Further tails, docs/tasks.md. They belong to the model's identity; a model without any has the id it always had. */
  tasks: v.optional(v.pipe(v.array(task), v.minLength(1), v.maxLength(MAX_TASKS))),
  /** Early exits, docs/exits.md. Like calibration they are no part of the identity: no frame means another thing for them. */
  exits: v.optional(v.pipe(v.array(exit), v.minLength(1), v.maxLength(MAX_EXITS))),
  /** Bytes and accuracy of uploads; no part of the identity either. */
  uploads: v.optional(uploads),
});

export type Manifest = v.InferOutput<typeof manifestSchema>;
export type SegmentInfo = v.InferOutput<typeof segment>;
export type TensorInfo = v.InferOutput<typeof tensorInfo>;
export type CutInfo = v.InferOutput<typeof cut>;
export type TaskInfo = v.InferOutput<typeof task>;
export type ExitInfo = v.InferOutput<typeof exit>;
export type UploadCalibration = v.InferOutput<typeof uploads>;
export type ExitRule = NonNullable<ExitInfo['threshold']>['rule'];
export type Preprocess = v.InferOutput<typeof preprocess>;
