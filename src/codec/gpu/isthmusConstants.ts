// What the `isthmus` passes read besides features, in the layout of the shaders. Each array is made once and kept, so that
// it is uploaded once per device. Nothing here depends on a feature.
import { type CodecProfile, TOKENS } from '../profile.ts';
import { dctMatrix } from '../reference/isthmusTransform.ts';
import { cumulative } from '../reference/ransTable.ts';
import type { Tables } from './family.ts';

/** For a pass whose binding is not used. */
export const NOTHING = new Uint32Array(1);
/** Without a profile. */
export const NO_MEANS = new Int32Array(1);

/** What `make` gives for a key, made on the first call. */
function remember<K extends object, V, A extends unknown[]>(make: (key: K, ...more: A) => V) {
  const known = new WeakMap<K, V>();
  return (key: K, ...more: A): V => {
    const value = known.get(key) ?? make(key, ...more);
    known.set(key, value);
    return value;
  };
}

/** A matrix of `rows` × `columns`, column by column, each filled up with zeros to whole vectors of four. */
function columnVectors(matrix: ArrayLike<number>, rows: number, columns: number): Int32Array {
  const padded = 4 * Math.ceil(rows / 4);
  return Int32Array.from({ length: columns * padded }, (_, at) => {
    const row = at % padded;
    return row < rows ? matrix[row * columns + Math.floor(at / padded)]! : 0;
  });
}

const bases = new Map<number, { forward: Tables; inverse: Tables }>();

/** D of a block side, number by number of what it is applied to. */
export function basisOf(side: number): { forward: Tables; inverse: Tables } {
  const known = bases.get(side);
  if (known) return known;
  const d = dctMatrix(side);
  const turned = d.map((_, at) => d[(at % side) * side + Math.floor(at / side)]!);
  const basis = { forward: columnVectors(d, side, side), inverse: columnVectors(turned, side, side) };
  bases.set(side, basis);
  return basis;
}

type Transform = NonNullable<CodecProfile['transform']>;

/** A, channel by channel; B, coefficient by coefficient. */
export const analysisOf = remember(
  ({ analysis }: Transform, rank: number): Tables => columnVectors(analysis, rank, analysis.length / rank),
);
export const synthesisOf = remember(
  ({ synthesis }: Transform, rank: number): Tables => columnVectors(synthesis, synthesis.length / rank, rank),
);
export const meansOf = remember((means: Int16Array): Tables => Int32Array.from(means));
export const weightsOf = remember((weights: Uint16Array): Tables => Uint32Array.from(weights));

/** Four per word. */
export const classesOf = remember((classes: Uint8Array): Tables => {
  const words = new Uint32Array(Math.ceil(classes.length / 4));
  classes.forEach((own, i) => {
    words[i >> 2]! |= own << (8 * (i & 3));
  });
  return words;
});

/** Packed steps (ransCoder.wgsl) of known tables. */
export const stepsOf = remember((tables: Uint16Array): Tables => {
  const steps = new Uint32Array(tables.length);
  for (let at = 0; at < tables.length; at += TOKENS) {
    const table = tables.subarray(at, at + TOKENS);
    const sums = cumulative(table);
    table.forEach((frequency, token) => {
      steps[at + token] = (frequency - 1) | (sums[token]! << 12);
    });
  }
  return steps;
});
