// TensorInfo of a model's tensors: from what inference found to what the manifest says and what a segment declares.
// Types and shapes only; finding them is facts.ts.
import { create } from '@bufbuild/protobuf';
import { TypeProtoSchema, type ValueInfoProto, ValueInfoProtoSchema } from 'onnx-buf';
import { IsthmusError } from '../errors.ts';
import { DTYPES, type DType } from '../tensor.ts';
import type { TensorInfo } from './manifest.ts';

export type Dims = readonly (number | string)[];

/** What is known of a tensor; a dimension '' and an absent shape are unknown. */
export interface TensorFact {
  /** onnxruntime's word, or undefined for sequences, optionals, maps and sparse tensors. */
  type: string | undefined;
  shape: Dims | undefined;
}

export type TensorFacts = ReadonlyMap<string, TensorFact>;

/** ONNX numbers of the element types that may cross a cut (TensorProto.DataType). */
export const ELEMENT = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
} as const;

/** Turns a dimension into ONNX's form of it. */
const dimension = (d: number | string) => ({
  value:
    typeof d === 'number'
      ? { case: 'dimValue' as const, value: BigInt(d) }
      : { case: 'dimParam' as const, value: d },
});

/** An ONNX declaration of a tensor. */
export function typed(name: string, elemType: number, shape: Dims): ValueInfoProto {
  const type = create(TypeProtoSchema, {
    value: { case: 'tensorType', value: { elemType, shape: { dim: shape.map(dimension) } } },
  });
  return create(ValueInfoProtoSchema, { name, type });
}

/** A typed declaration of a tensor, for the ends of a segment. */
export function valueInfo(info: TensorInfo): ValueInfoProto {
  return typed(info.name, ELEMENT[info.dtype], info.shape);
}

/** Our word for an ONNX element type. */
export const elementName = (elemType: number): string =>
  DTYPES.find((dtype) => ELEMENT[dtype] === elemType) ?? `ONNX type ${elemType}`;

const isDType = (type: string): type is DType => (DTYPES as readonly string[]).includes(type);

/**
 * What the manifest says of a tensor.
 *
 * @throws IsthmusError MODEL_UNSUPPORTED for a type that cannot cross a cut; SHAPE_UNKNOWN.
 */
export function tensorInfo(facts: TensorFacts, name: string, batch: ReadonlySet<string>): TensorInfo {
  const info = outputInfo(facts, name);
  if (info.shape.every((d) => typeof d === 'number' || batch.has(d))) return info;
  throw unknownShape(name, facts.get(name)?.shape);
}

/**
 * The same for an output of the model, whose dimensions may be open (as many as objects were found, say).
 *
 * @throws IsthmusError MODEL_UNSUPPORTED; SHAPE_UNKNOWN when even the number of dimensions is.
 */
export function outputInfo(facts: TensorFacts, name: string): TensorInfo {
  const fact = facts.get(name);
  if (!fact?.type || !isDType(fact.type)) {
    throw new IsthmusError(
      'MODEL_UNSUPPORTED',
      `The tensor '${name}' is ${fact?.type ? `of type ${fact.type}` : 'no plain tensor'}; ` +
        `only ${DTYPES.join(', ')} can cross a cut. Cut elsewhere.`,
    );
  }
  if (!fact.shape) throw unknownShape(name);
  return { name, dtype: fact.type, shape: fact.shape.map((d, axis) => (d === '' ? `open${axis}` : d)) };
}

/** The refusal of a tensor whose shape is needed and open. */
export function unknownShape(name: string, shape?: Dims): IsthmusError {
  const found = shape ? ` ([${shape.map((d) => (d === '' ? '?' : d)).join(', ')}])` : '';
  return new IsthmusError(
    'SHAPE_UNKNOWN',
    `The shape of '${name}' is open${found}: only the batch, the first dimension of an input, may be. ` +
      'Fix the input with --shape NAME=1,3,224,224, export the model with fixed sizes, or cut elsewhere.',
  );
}
