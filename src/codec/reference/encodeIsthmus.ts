// The encoder of family `isthmus` as FORMAT.md tells it; it defines the bytes that the GPU, WASM and the fast CPU encoder
// must equal. Rate control by trial is here too, because it decides bytes.

import { bad } from '../checks.ts';
import { type IsthmusPlan, isthmusLanes, LADDER, SENT_TABLES_FROM } from '../isthmusPlan.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { misfit, NEIGHBOUR_TABLES, TOKENS, viewOf } from '../profile.ts';
import { notFinite, sanitise, sharedExponent } from './float.ts';
import { absoluteStep, classShift, LARGEST, toFixed } from './isthmusFixed.ts';
import {
  DEAD_ZONE,
  type IsthmusHeader,
  type IsthmusSetup,
  plainBlock,
  plainSetup,
  RHO,
  setupOf,
  writeIsthmusParams,
} from './isthmusSetup.ts';
import { dequantise, laneRows, quantise, tableOf, tokenOf, weightOf } from './isthmusSymbols.ts';
import { forward } from './isthmusTransform.ts';
import { LaneEncoder, writeStream } from './rans.ts';
import { cumulative, normalise } from './ransTable.ts';

/**
 * @param data float32 elements, row-major; not modified
 * @throws IsthmusError FEATURE_NOT_FINITE under `plan.strict`, CODEC_INVALID when the profile does not fit the shape
 */
export function encodeIsthmus(
  data: Float32Array,
  shape: readonly number[],
  plan: IsthmusPlan,
): EncodedTensor {
  const fixed = fixedFeature(data, shape, plan);
  if ('constant' in fixed) {
    const params = new Uint8Array(4);
    new DataView(params.buffer).setUint32(0, fixed.constant, true);
    const flags = TENSOR_FLAGS.CONST | fixed.flags;
    return { family: 'isthmus', dtype: 'float32', shape, flags, params, payload: new Uint8Array(0) };
  }
  const { x, setup, flags } = fixed;
  return encodeCoefficients({
    y: forward(x, setup),
    largest: x.reduce((m, value) => Math.max(m, Math.abs(value)), 0),
    nonnegative: x.every((value) => value >= 0),
    setup,
    plan,
    shape,
    flags,
  });
}

/** A transformed feature, and what else decides its bytes. */
export interface Coefficients {
  y: Int32Array;
  /** Largest fixed-point magnitude before the transform. */
  largest: number;
  /** No element was negative before the transform. */
  nonnegative: boolean;
  setup: IsthmusSetup;
  plan: IsthmusPlan;
  shape: readonly number[];
  flags: number;
}

/** The second half of the encoder: step, quantiser, entropy coder. */
function encodeCoefficients(coefficients: Coefficients): EncodedTensor {
  const { y, largest, nonnegative, setup, plan, shape, flags } = coefficients;
  const code = (step: number) =>
    codeQuantised(quantise(y, step, deadZoneOf(plan), setup), step, setup, plan, nonnegative);
  const { params, payload, signed } = code(
    chooseStep(largest, y, setup, plan, (step) => {
      const trial = code(step);
      return trial.params.length + trial.payload.length;
    }),
  );
  return {
    family: 'isthmus',
    dtype: 'float32',
    shape,
    flags: flags | (signed ? TENSOR_FLAGS.SIGNED : 0),
    params,
    payload,
  };
}

type Fixed = { x: Int32Array; setup: IsthmusSetup; flags: number } | { constant: number; flags: number };

function fixedFeature(data: Float32Array, shape: readonly number[], plan: IsthmusPlan): Fixed {
  const { profile } = plan;
  if (data.length === 0) return { constant: 0, flags: 0 };
  if (profile) {
    const reason = misfit(viewOf(shape), profile);
    if (reason)
      throw bad(`The codec profile ${profile.name} does not fit a feature of shape [${shape}]: ${reason}.`);
    const source = new Uint32Array(data.buffer, data.byteOffset, data.length);
    let replaced = false;
    const x = Int32Array.from(source, (bits) => {
      if ((bits & 0x7f800000) !== 0x7f800000) return toFixed(bits, profile.exponent);
      replaced = true;
      return (bits & 0x7fffff) !== 0 ? 0 : bits >>> 31 === 1 ? -LARGEST : LARGEST;
    });
    if (replaced && plan.strict) throw notFinite();
    return { x, setup: setupOf(shape, profile), flags: replaced ? TENSOR_FLAGS.SANITISED : 0 };
  }
  const { bits, replaced } = sanitise(data, plan.strict);
  const flags = replaced ? TENSOR_FLAGS.SANITISED : 0;
  if (bits.every((b) => b === bits[0])) return { constant: bits[0]!, flags };
  const exponent = sharedExponent(bits.reduce((m, b) => Math.max(m, b & 0x7fffffff), 0));
  const x = Int32Array.from(bits, (b) => toFixed(b, exponent));
  return { x, setup: plainSetup(shape, exponent, plainBlock(shape, plan), RHO[plan.transform]), flags };
}

/** @param bytesAt size of the tensor at a step */
function chooseStep(
  largest: number,
  y: Int32Array,
  setup: IsthmusSetup,
  plan: IsthmusPlan,
  bytesAt: (step: number) => number,
): number {
  const rule = plan.step;
  switch (rule.kind) {
    case 'fixed':
      return rule.step;
    case 'relative':
      return Math.max(1, Math.floor((largest * rule.budgetQ16 + 32768) / 65536));
    case 'absolute':
      return absoluteStep(rule.bits, setup.exponent);
    case 'bytes': // the finest step that is small enough
      return firstOnLadder(ladder(y, setup), (step) => bytesAt(step) <= rule.target);
    case 'distortion': // the coarsest step that is close enough: one before the first that is not
      return firstOnLadder(
        ladder(y, setup),
        (step) => distortion(y, step, deadZoneOf(plan), setup) > rule.target,
        -1,
      );
  }
}

/** The steps to try: below the first of them, magnitudes would not fit and finer would be worse. */
function ladder(y: Int32Array, setup: IsthmusSetup): number[] {
  const finest = y.reduce(
    (m, value, at) => Math.max(m, Math.floor(Math.abs(value) / (8 * weightOf(at, setup)))),
    0,
  );
  return LADDER.filter((step) => step >= finest);
}

/**
 * By bisection: `holds` is taken to be false up to some step and true from there on.
 * @param offset which one it shall be, counted from the first that holds; the ends of the ladder limit it
 */
export function firstOnLadder(
  steps: readonly number[],
  holds: (step: number) => boolean,
  offset = 0,
): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(steps[middle]!)) high = middle;
    else low = middle + 1;
  }
  return steps[Math.max(0, Math.min(steps.length - 1, low + offset))]!;
}

/** Squared error of the coefficients relative to their squares. */
function distortion(y: Int32Array, step: number, deadZone: number, setup: IsthmusSetup): number {
  const decoded = dequantise(quantise(y, step, deadZone, setup), step, setup);
  let error = 0;
  let energy = 0;
  y.forEach((value, i) => {
    error += (value - decoded[i]!) ** 2;
    energy += value ** 2;
  });
  return energy === 0 ? 0 : error / energy;
}

export const deadZoneOf = ({ profile, transform }: IsthmusPlan) => profile?.deadZone ?? DEAD_ZONE[transform];

/** The last part of the encoder: quantised coefficients to params and payload. */
function codeQuantised(
  q: Int32Array,
  step: number,
  setup: IsthmusSetup,
  plan: IsthmusPlan,
  nonnegative: boolean,
): { params: Uint8Array; payload: Uint8Array; signed: boolean } {
  const { view, codedPlanes } = setup;
  const signed = q.some((value) => value < 0);
  const lanes = plan.lanes ?? isthmusLanes(q.length, codedPlanes * view.rows);
  if (lanes > codedPlanes * view.rows) throw bad(`${lanes} lanes are more than the feature has rows.`);
  const shift = setup.classes ? classShift(step) : 0;
  const numbers = new Uint8Array(q.length);
  for (let lane = 0; lane < lanes; lane++) {
    const [first, end] = laneRows(lane, lanes, setup);
    for (let at = first * view.columns; at < end * view.columns; at++)
      numbers[at] = tableOf(q, at, first, shift, setup);
  }
  const sends = !plan.profile && (plan.sentTables ?? q.length >= SENT_TABLES_FROM);
  const sent = sends ? countTables(q, numbers) : undefined;
  const tables = sent ?? setup.tables;
  const sums = Array.from({ length: tables.length / TOKENS }, (_, k) =>
    cumulative(tables.subarray(k * TOKENS, (k + 1) * TOKENS)),
  );
  const coded = Array.from({ length: lanes }, (_, lane) => {
    const [first, end] = laneRows(lane, lanes, setup);
    const encoder = new LaneEncoder();
    for (let at = end * view.columns - 1; at >= first * view.columns; at--) {
      const { token, bits, extra } = tokenOf(Math.abs(q[at]!));
      const hasSign = signed && q[at] !== 0;
      if (hasSign) encoder.putBits(extra * 2 + (q[at]! < 0 ? 1 : 0), bits + 1);
      else if (bits > 0) encoder.putBits(extra, bits);
      encoder.put(tables[numbers[at]! * TOKENS + token]!, sums[numbers[at]!]![token]!);
    }
    return encoder.finish();
  });
  const header: IsthmusHeader = { lanes, shift, step, nonnegative, ...(sent && { sent }) };
  return { params: writeIsthmusParams(header, setup, plan.profile), payload: writeStream(coded), signed };
}

/** Tables from what is to be coded; a table that nothing uses stays 0. */
function countTables(q: Int32Array, numbers: Uint8Array): Uint16Array {
  const counts = new Uint32Array(NEIGHBOUR_TABLES * TOKENS);
  q.forEach((value, at) => {
    counts[numbers[at]! * TOKENS + tokenOf(Math.abs(value)).token]! += 1;
  });
  const tables = new Uint16Array(counts.length);
  for (let k = 0; k < NEIGHBOUR_TABLES; k++) {
    const row = counts.subarray(k * TOKENS, (k + 1) * TOKENS);
    if (row.some((n) => n > 0)) tables.set(normalise(row), k * TOKENS);
  }
  return tables;
}
