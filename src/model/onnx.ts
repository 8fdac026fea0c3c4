// Reads and writes ONNX files as protobuf messages, and refuses what is no ONNX or of an opset nobody cut yet.
// The first step of a partition; it knows the file format and nothing about graphs or cuts.
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { type GraphProto, type ModelProto, ModelProtoSchema } from 'onnx-buf';
import { IsthmusError } from '../errors.ts';

/** Opsets of the default domain that Isthmus cuts. Older ones lack shape inference, newer ones are untried. */
const OPSETS = { min: 9, max: 21 } as const;

/** A model with its graph present, which `readOnnx` guarantees. */
export type OnnxModel = ModelProto & { graph: GraphProto };

const startsWith = (bytes: Uint8Array, text: string, at = 0) =>
  [...text].every((char, i) => bytes[at + i] === char.charCodeAt(0));

/** Files that people hand over by mistake, so that the refusal can say what they are. */
const MISTAKES: readonly [what: string, test: (bytes: Uint8Array) => boolean][] = [
  ['is empty', (b) => b.length === 0],
  ['is a PNG picture', (b) => startsWith(b, '\x89PNG')],
  ['is a JPEG picture', (b) => startsWith(b, '\xff\xd8\xff')],
  ['is a web page, perhaps an error page of a download', (b) => /^\s*<(!doctype|html|\?xml)/i.test(head(b))],
  [
    'is a Git LFS pointer; fetch the file itself with `git lfs pull`',
    (b) => /^version https:\/\/git-lfs/.test(head(b)),
  ],
  ['is a ZIP archive, perhaps a PyTorch checkpoint; export it to ONNX', (b) => startsWith(b, 'PK\x03\x04')],
  ['is gzip-compressed; unpack it', (b) => startsWith(b, '\x1f\x8b')],
  ['is in the ORT format; use the ONNX file it was made from', (b) => startsWith(b, 'ORTM', 4)],
  ['is a TensorFlow Lite model; convert it to ONNX', (b) => startsWith(b, 'TFL3', 4)],
];

function head(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, 64));
}

const notOnnx = (why: string, cause?: unknown) =>
  new IsthmusError('MODEL_INVALID', `This is no ONNX model: the file ${why}. Give an intact .onnx file.`, {
    cause,
  });

/**
 * Parses an ONNX file. Weights are views of `bytes`, not copies.
 *
 * @throws IsthmusError MODEL_INVALID when it is no ONNX or damaged; MODEL_UNSUPPORTED for an opset outside 9…21.
 */
export function readOnnx(bytes: Uint8Array): OnnxModel {
  for (const [what, test] of MISTAKES) if (test(bytes)) throw notOnnx(what);
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw notOnnx('is damaged, cut short, or of another kind', cause);
  }
  const { graph } = model;
  // A protobuf reader accepts many a random file as a message of unknown fields only.
  if (!graph || model.irVersion <= 0n || graph.output.length === 0) {
    throw notOnnx('holds no graph with outputs');
  }
  if (model.opsetImport.length === 0) throw notOnnx('names no operator set, so it may be cut short');
  checkOpset(model);
  return model as OnnxModel;
}

/** The version of the default operator set. @throws MODEL_UNSUPPORTED when it is outside {@link OPSETS}. */
export function checkOpset(model: ModelProto): number {
  const entry = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx');
  if (!entry) {
    throw new IsthmusError(
      'MODEL_UNSUPPORTED',
      `This model uses no standard ONNX operators. Export it again with opset ${OPSETS.max} or lower.`,
    );
  }
  const opset = Number(entry.version);
  if (opset < OPSETS.min || opset > OPSETS.max) {
    throw new IsthmusError(
      'MODEL_UNSUPPORTED',
      `This model uses ONNX opset ${opset}; Isthmus cuts opsets ${OPSETS.min} to ${OPSETS.max}. ` +
        'Export it again with one of these, or convert it with onnx.version_converter.',
    );
  }
  return opset;
}

/** Serialises a model; the same message always gives the same bytes. */
export function writeOnnx(model: ModelProto): Uint8Array<ArrayBuffer> {
  return toBinary(ModelProtoSchema, model);
}
