// CodecProfile: what calibration found out about one cut, for family `isthmus`: transform, weights, classes, tables.
// Parses and writes the file of FORMAT.md ("Profile") and checks that no value in it can make the arithmetic overflow.
// Shared leaf of both ends; it transforms and codes nothing.
import { IsthmusError } from '../errors.ts';
import { elementCount } from '../tensor.ts';

/** Tokens of a magnitude: 0…14 as they are, then 15 + j with j raw bits. */
export const TOKENS = 27;
/** Tables that neighbours choose among. */
export const NEIGHBOUR_TABLES = 15;

const HEADER_BYTES = 32;
const MAGIC = 0x52505349; // 'ISPR'

/** See FORMAT.md, "Profile"; names in brackets are its letters. Never changed once made. */
export interface CodecProfile {
  /** First 8 bytes of the file's SHA-256 as 16 hex digits: what frames call it. */
  name: string;
  /** Shared exponent of the fixed point [E]. */
  exponent: number;
  /** Rounding offset of the quantiser in 1/256; encoders only. */
  deadZone: number;
  /** Where a magnitude of 1, and one above, is reconstructed, in 1/256 of a step from the multiple [ρ1, ρ2]. */
  rho: readonly [number, number];
  /** [C] */
  channels: number;
  /** Coefficients per position [R]. */
  rank: number;
  /** [bh, bw] */
  block: readonly [number, number];
  /** [mh, mw] */
  map: readonly [number, number];
  /** Step of quality 50, in fixed-point units; encoders only. */
  step: number;
  /** C */
  means: Int16Array;
  /** Channel transform: A is R × C at 2^shiftA, B is C × R at 2^shiftB. */
  transform?: { shiftA: number; shiftB: number; analysis: Int16Array; synthesis: Int16Array };
  /** mh × mw, in 1/256. */
  weights: Uint16Array;
  /** R × mh × mw; without it, tables follow from neighbours. */
  classes?: Uint8Array;
  /** K × 27 frequencies. */
  tables: Uint16Array;
}

const refuse = (reason: string) =>
  new IsthmusError(
    'CODEC_INVALID',
    `The codec profile cannot be used: ${reason}. Make it anew with \`isthmus calibrate\`.`,
  );

/**
 * Name of the profile whose file this is: the first 16 hex digits of its SHA-256, the same in browsers and in Node.
 *
 * @throws IsthmusError OPTION_INVALID where the page has no crypto.subtle
 * @example
 * const profile = parseProfile(bytes, await profileName(bytes));
 */
export async function profileName(bytes: Uint8Array): Promise<string> {
  if (!globalThis.crypto?.subtle) {
    throw new IsthmusError(
      'OPTION_INVALID',
      'Naming codec profiles needs crypto.subtle: serve the page over https or from localhost.',
    );
  }
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest, 0, 8), (b) => b.toString(16).padStart(2, '0')).join('');
}

/**
 * Reads a profile that nobody vouches for.
 *
 * @param name what {@link profileName} says of the same bytes
 * @throws IsthmusError CODEC_INVALID
 */
export function parseProfile(bytes: Uint8Array, name: string): CodecProfile {
  if (!/^[0-9a-f]{16}$/.test(name)) throw refuse(`'${name}' is not the name of a profile`);
  if (bytes.length < HEADER_BYTES) throw refuse('it is cut short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const u16 = (at: number) => view.getUint16(at, true);
  if (view.getUint32(0, true) !== MAGIC || bytes[4] !== 1) throw refuse('it is none, or of another version');
  const bits = bytes[5]!;
  if (bits > 3 || u16(26) !== 0) throw refuse('a reserved bit is set');
  const [channels, rank] = [u16(12), u16(14)];
  const [bh, bw] = [u16(16), u16(18)];
  const [mh, mw] = [u16(20), u16(22)];
  const count = u16(24);
  const transformed = (bits & 1) !== 0;
  const classed = (bits & 2) !== 0;
  if (mh * mw > 65536 || rank * mh * mw > 2 ** 24 || channels > 4096 || rank > channels)
    throw refuse('it is too large');
  const sizes = {
    means: 2 * channels,
    matrices: transformed ? 4 * channels * rank : 0,
    weights: 2 * mh * mw,
    classes: classed ? rank * mh * mw : 0,
    tables: 2 * TOKENS * count,
  };
  const expected = Object.values(sizes).reduce((a, b) => a + b, HEADER_BYTES);
  if (bytes.length !== expected) throw refuse(`it has ${bytes.length} bytes instead of ${expected}`);
  let at = HEADER_BYTES;
  const fill = <T extends Int16Array | Uint16Array>(values: T): T => {
    for (let i = 0; i < values.length; i++, at += 2) values[i] = u16(at); // wraps to signed in an Int16Array
    return values;
  };
  const means = fill(new Int16Array(channels));
  const transform = transformed && {
    shiftA: bytes[6]!,
    shiftB: bytes[7]!,
    analysis: fill(new Int16Array(rank * channels)),
    synthesis: fill(new Int16Array(rank * channels)),
  };
  const weights = fill(new Uint16Array(mh * mw));
  const classes = classed && bytes.slice(at, at + sizes.classes);
  at += sizes.classes;
  const tables = fill(new Uint16Array(TOKENS * count));
  const profile: CodecProfile = {
    name,
    exponent: bytes[8]!,
    deadZone: bytes[9]!,
    rho: [view.getInt8(10), view.getInt8(11)],
    channels,
    rank,
    block: [bh, bw],
    map: [mh, mw],
    step: view.getUint32(28, true),
    means,
    ...(transform && { transform }),
    weights,
    ...(classes && { classes }),
    tables,
  };
  if (bytes[6]! > 16 || bytes[7]! > 16) throw refuse('it shifts by more than 16 bits');
  check(profile);
  return profile;
}

/** @throws IsthmusError CODEC_INVALID for anything FORMAT.md does not allow */
function check(p: CodecProfile): void {
  const within = (what: string, value: number, low: number, high: number) => {
    if (!(value >= low && value <= high)) throw refuse(`${what} is ${value}, outside ${low}…${high}`);
  };
  const [bh, bw] = p.block;
  const [mh, mw] = p.map;
  within('E', p.exponent, 1, 254);
  within('C', p.channels, 1, 4096);
  within('R', p.rank, 1, p.channels);
  within('bh', bh, 1, 16);
  within('bw', bw, 1, 16);
  within('the step', p.step, 1, 65536);
  within('mh', mh, 1, 65535);
  within('mw', mw, 1, 65535);
  if ((mh > 1 && mh % bh !== 0) || (mw > 1 && mw % bw !== 0)) throw refuse('its map does not fit its blocks');
  const tables = p.tables.length / TOKENS;
  within('the number of tables', tables, p.classes ? 1 : NEIGHBOUR_TABLES, p.classes ? 64 : NEIGHBOUR_TABLES);
  for (const mean of p.means) within('a mean', mean, -16383, 16383);
  for (const weight of p.weights) within('a weight', weight, 1, 1023);
  for (let t = 0; t < tables; t++) {
    const table = p.tables.subarray(t * TOKENS, (t + 1) * TOKENS);
    if (table.includes(0) || table.reduce((a, b) => a + b, 0) !== 4096)
      throw refuse(`table ${t} does not sum to 4096`);
  }
  if (!p.transform) {
    if (p.rank !== p.channels) throw refuse('R differs from C');
    return;
  }
  checkRows('A', p.transform.analysis, p.rank, 65000);
  checkRows('B', p.transform.synthesis, p.channels, 32000);
}

/** Keeps every sum of products below 2^31. */
function checkRows(what: string, matrix: Int16Array, rows: number, limit: number): void {
  const columns = matrix.length / rows;
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) sum += Math.abs(matrix[i]!);
    if (sum > limit) throw refuse(`row ${row} of ${what} sums to ${sum}, above ${limit}`);
  }
}

/** The file of a profile; its name follows from these bytes and is not part of them. */
export function writeProfile(p: Omit<CodecProfile, 'name'>): Uint8Array<ArrayBuffer> {
  const { transform, classes } = p;
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC, true);
  header.set(
    [
      1,
      (transform ? 1 : 0) | (classes ? 2 : 0),
      transform?.shiftA ?? 0,
      transform?.shiftB ?? 0,
      p.exponent,
      p.deadZone,
      p.rho[0],
      p.rho[1],
    ],
    4,
  );
  [p.channels, p.rank, ...p.block, ...p.map, p.tables.length / TOKENS, 0].forEach((value, i) => {
    view.setUint16(12 + 2 * i, value, true);
  });
  view.setUint32(28, p.step, true);
  const little = (values: Int16Array | Uint16Array) => {
    const bytes = new Uint8Array(2 * values.length);
    const out = new DataView(bytes.buffer);
    values.forEach((value, i) => {
      out.setUint16(2 * i, value & 0xffff, true);
    });
    return bytes;
  };
  const parts = [
    header,
    little(p.means),
    ...(transform ? [little(transform.analysis), little(transform.synthesis)] : []),
    little(p.weights),
    ...(classes ? [classes] : []),
    little(p.tables),
  ];
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** A tensor as planes × rows × columns (FORMAT.md, "View"). */
export interface View3 {
  planes: number;
  rows: number;
  columns: number;
}

export function viewOf(shape: readonly number[]): View3 {
  const columns = shape.at(-1) ?? 1;
  const rows = shape.length > 1 ? shape.at(-2)! : 1;
  return { planes: elementCount(shape.slice(0, -2)), rows, columns };
}

/** @returns why the profile does not fit a tensor of this shape, or undefined */
export function misfit({ planes, rows, columns }: View3, p: CodecProfile): string | undefined {
  if (planes % p.channels !== 0) return `${planes} planes are no multiple of its ${p.channels} channels`;
  if (rows % p.block[0] !== 0 || columns % p.block[1] !== 0)
    return `${rows} × ${columns} does not fall into its blocks of ${p.block.join(' × ')}`;
  return undefined;
}
