// From what the GPU hands back to the encoded tensor of family `isthmus`: the choices that passes made are repeated from the
// statistics they left, and what is not coded yet is coded here.
import { encodeCoefficients } from '../cpu/encodeIsthmus.ts';
import { codeQuantised } from '../cpu/isthmusCoder.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { notFinite, sharedExponent } from '../reference/float.ts';
import { absoluteStep, classShift, LARGEST, toFixed } from '../reference/isthmusFixed.ts';
import { type IsthmusSetup, writeIsthmusParams } from '../reference/isthmusSetup.ts';
import type { FeatureSpec } from './family.ts';
import type { IsthmusJob } from './isthmusJob.ts';
import { readStream } from './ransCoder.ts';

type Output = (region: string) => Uint8Array<ArrayBuffer>;

/** Bits of `seen` and of `nonFinite` in isthmusState.wgsl. */
const SEEN = { notFinite: 1, negativeElement: 2, negativeCoefficient: 4 } as const;
const INFINITE = { plus: 1, minus: 2 } as const;
const SIGN = 0x80000000;

/** `State` of isthmusState.wgsl: statistics of patterns, all 0 where they were not needed. */
interface State {
  maxPositive: number;
  maxNegative: number;
  maxComplement: number;
  nonFinite: number;
  seen: number;
}

export function readTensor(job: IsthmusJob, output: Output): EncodedTensor {
  const { feature, plan } = job;
  const state = readState(output('state'));
  const flags = state.seen & SEEN.notFinite ? TENSOR_FLAGS.SANITISED : 0;
  if (flags && plan.strict) throw notFinite();
  const constant = plan.profile ? undefined : constantOf(state);
  if (constant !== undefined) return constantTensor(feature, constant, flags);

  const limit = Math.max(state.maxPositive, state.maxNegative);
  const setup = plan.profile ? job.setup : { ...job.setup, exponent: sharedExponent(limit) };
  const nonnegative = (state.seen & SEEN.negativeElement) === 0;
  const saturates = plan.profile !== undefined && (state.nonFinite & (INFINITE.plus | INFINITE.minus)) !== 0;
  const largest = saturates ? LARGEST : toFixed(limit, setup.exponent);
  const { shape, dtype } = feature;
  if (job.division === 'coefficients') {
    const y = new Int32Array(output('coefficients').slice().buffer, 0, job.symbols);
    return { ...encodeCoefficients({ y, largest, nonnegative, setup, plan, shape, flags }), dtype };
  }
  const step = knownStep(job, largest, setup.exponent);
  const isSigned = (state.seen & SEEN.negativeCoefficient) !== 0;
  const { params, payload } =
    (job.division === 'lanes' ? readLanes(job, setup, step, nonnegative, output) : undefined) ??
    codeQuantised(symbolsOf(output('quantised'), job.symbols), step, setup, plan, nonnegative);
  return {
    family: 'isthmus',
    dtype,
    shape,
    flags: flags | (isSigned ? TENSOR_FLAGS.SIGNED : 0),
    params,
    payload,
  };
}

/** A tensor that is its params. @param bits of the float32 that all elements are */
export function constantTensor({ dtype, shape }: FeatureSpec, bits: number, flags: number): EncodedTensor {
  const params = new Uint8Array(4);
  new DataView(params.buffer).setUint32(0, bits, true);
  return {
    family: 'isthmus',
    dtype,
    shape,
    flags: flags | TENSOR_FLAGS.CONST,
    params,
    payload: new Uint8Array(0),
  };
}

/** What the lanes came to, or undefined when they did not fit and `quantised` still holds the symbols. */
function readLanes(
  { plan, lanes, sends }: IsthmusJob,
  setup: IsthmusSetup,
  step: number,
  nonnegative: boolean,
  output: Output,
): { params: Uint8Array; payload: Uint8Array } | undefined {
  const coded = output('lanes');
  const payload = output('quantised');
  const words = wordsOf(coded)[1]!;
  if (2 * words > payload.length) return undefined;
  const shift = setup.classes ? classShift(step) : 0;
  const sent = sends ? Uint16Array.from(wordsOf(output('frequencies'))) : undefined;
  const header = { lanes, shift, step, nonnegative, ...(sent && { sent }) };
  return {
    params: writeIsthmusParams(header, setup, plan.profile),
    payload: readStream(coded, payload).stream,
  };
}

const wordsOf = (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);

function symbolsOf(quantised: Uint8Array<ArrayBuffer>, count: number): Int32Array {
  return new Int32Array(new Int16Array(quantised.buffer, quantised.byteOffset, count));
}

function readState(bytes: Uint8Array<ArrayBuffer>): State {
  const [maxPositive, maxNegative, maxComplement, nonFinite, seen] = wordsOf(bytes) as unknown as number[];
  return {
    maxPositive: maxPositive!,
    maxNegative: maxNegative!,
    maxComplement: maxComplement!,
    nonFinite: nonFinite!,
    seen: seen!,
  };
}

/** The pattern that all elements have once sanitised; undefined when they differ. */
function constantOf({ maxPositive, maxNegative, maxComplement, nonFinite }: State): number | undefined {
  const limit = Math.max(maxPositive, maxNegative);
  const patterns = [~maxComplement >>> 0];
  if (nonFinite & INFINITE.plus) patterns.push(limit);
  if (nonFinite & INFINITE.minus) patterns.push(limit === 0 ? 0 : (SIGN | limit) >>> 0);
  const smallest = Math.min(...patterns);
  const negative = nonFinite & INFINITE.minus ? limit : maxNegative;
  const positive = nonFinite & INFINITE.plus ? limit : maxPositive;
  const largest = negative > 0 ? (SIGN | negative) >>> 0 : positive;
  return smallest === largest ? largest : undefined;
}

/** The step that the quantiser used. */
function knownStep({ plan: { step } }: IsthmusJob, largest: number, exponent: number): number {
  switch (step.kind) {
    case 'fixed':
      return step.step;
    case 'absolute':
      return absoluteStep(step.bits, exponent);
    case 'relative':
      return Math.max(1, Math.floor((largest * step.budgetQ16 + 32768) / 65536));
    default:
      throw new RangeError(`no step before ${step.kind} is known`);
  }
}
