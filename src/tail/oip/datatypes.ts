// Element types by their names in the Open Inference Protocol v2, and numbers of JSON as elements of a tensor. Shared by
// the tail that answers the protocol and the backend that speaks it; it knows no bodies and no models.
import { IsthmusError } from '../../errors.ts';
import { bytesPerElement, type DType, type Tensor, type TensorData, viewBytes } from '../../tensor.ts';

/** https://github.com/kserve/open-inference-protocol, "Tensor Data Types". */
const NAMES = {
  bool: 'BOOL',
  uint8: 'UINT8',
  int8: 'INT8',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
} as const satisfies Record<DType, string>;

export type Datatype = (typeof NAMES)[DType];

export function datatypeOf(dtype: DType): Datatype {
  return NAMES[dtype];
}

/** Whole numbers that a type holds. */
const RANGES: Partial<Record<DType, readonly [bigint, bigint]>> = {
  uint8: [0n, 255n],
  int8: [-128n, 127n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
};

/**
 * Elements from JSON or from typed protobuf contents, flat or nested as they are.
 *
 * @param count how many the shape asks for; nothing is allocated before the values are counted
 * @throws IsthmusError INPUT_INVALID: wrong count, wrong kind or out of range; float16, which is binary only
 */
export function fromNumbers(dtype: DType, values: unknown, count: number, name: string): TensorData {
  if (dtype === 'float16') {
    throw new IsthmusError('INPUT_INVALID', `'${name}' is FP16, which travels only as binary data.`);
  }
  const flat = Array.isArray(values) ? values.flat(Number.POSITIVE_INFINITY) : [];
  if (flat.length !== count) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `'${name}' has ${flat.length} elements, its shape asks for ${count}. Send as many.`,
    );
  }
  const data = viewBytes(dtype, new Uint8Array(count * bytesPerElement(dtype)));
  const refuse = (value: unknown) =>
    new IsthmusError(
      'INPUT_INVALID',
      `'${name}' holds ${JSON.stringify(value)?.slice(0, 40)}, which is no ${NAMES[dtype]}.`,
    );
  for (const [i, value] of flat.entries()) {
    if (data instanceof BigInt64Array) data[i] = wholeNumber(dtype, value, refuse);
    else if (dtype === 'bool') data[i] = truth(value, refuse);
    else if (RANGES[dtype]) data[i] = Number(wholeNumber(dtype, value, refuse));
    else {
      if (typeof value !== 'number') throw refuse(value);
      data[i] = value;
      // Contents of protobuf may be NaN or infinite; a finite number that becomes infinite was too large for its type.
      if (Number.isFinite(value) && !Number.isFinite(data[i])) throw refuse(value);
    }
  }
  return data;
}

function truth(value: unknown, refuse: (value: unknown) => IsthmusError): number {
  if (value === true || value === 1) return 1;
  if (value === false || value === 0) return 0;
  throw refuse(value);
}

/** Text is taken too: JSON numbers above 2^53 lose digits in many clients. */
function wholeNumber(dtype: DType, value: unknown, refuse: (value: unknown) => IsthmusError): bigint {
  const exact =
    typeof value === 'bigint' ||
    Number.isSafeInteger(value) ||
    (typeof value === 'string' && /^-?\d{1,20}$/.test(value));
  if (!exact) throw refuse(value);
  const whole = BigInt(value as bigint);
  const [low, high] = RANGES[dtype]!;
  if (whole < low || whole > high) throw refuse(String(value));
  return whole;
}

/**
 * Elements for JSON; int64 as numbers with all their digits.
 * @throws IsthmusError REQUEST_INVALID: FP16, NaN and infinities have no form in JSON
 */
export function toNumbers({ dtype, data }: Tensor, name: string): unknown[] {
  if (dtype === 'float16') throw binaryOnly(name, 'FP16');
  if (dtype === 'bool') return Array.from(data as Uint8Array, (x) => x !== 0);
  if (data instanceof BigInt64Array) return Array.from(data, rawNumber);
  const numbers = Array.from(data as Float32Array);
  if (!numbers.every(Number.isFinite)) throw binaryOnly(name, 'not finite everywhere');
  return numbers;
}

/** A number of JSON with exactly these digits (JSON.rawJSON, Node 21; not in TypeScript's library yet). */
function rawNumber(x: bigint): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(x));
}

function binaryOnly(name: string, what: string): IsthmusError {
  return new IsthmusError(
    'REQUEST_INVALID',
    `The output '${name}' is ${what}, which JSON cannot hold. Ask for it with \`binary_data: true\`.`,
  );
}
