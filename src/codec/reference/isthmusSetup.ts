// IsthmusSetup: everything that decoding a tensor of family `isthmus` depends on besides its symbols: the view, the
// transform, the tables. It comes from a profile or, without one, from the params. Reading and writing of the params too.
import { IsthmusError } from '../../errors.ts';
import type { IsthmusPlan } from '../isthmusPlan.ts';
import { type CodecProfile, misfit, NEIGHBOUR_TABLES, TOKENS, type View3, viewOf } from '../profile.ts';
import { SPATIAL_TABLES, SPECTRAL_TABLES } from './isthmusTables.ts';
import { readTable, sentTableBytes, writeTable } from './ransTable.ts';
import { damaged } from './slicerLayout.ts';

/** What does not vary with the step. Names in brackets are the letters of FORMAT.md. */
export interface IsthmusSetup
  extends Pick<CodecProfile, 'exponent' | 'channels' | 'rank' | 'block' | 'map' | 'rho'> {
  view: View3;
  /** Planes of coefficients [P']. */
  codedPlanes: number;
  means?: Int16Array;
  transform?: CodecProfile['transform'];
  weights: Uint16Array;
  classes?: Uint8Array;
  /** 27 frequencies per table. */
  tables: Uint16Array;
}

/** What varies from frame to frame. */
export interface IsthmusHeader {
  lanes: number;
  /** Added to every class. */
  shift: number;
  step: number;
  nonnegative: boolean;
  /** What the tables are, without a profile. */
  sent?: Uint16Array;
}

const PARAMS_BYTES = 16;
const PROFILE = 1;
const SENT = 2;
const NONNEGATIVE = 4;
const UNIT_WEIGHT = Uint16Array.of(256);

/** Reconstruction points without a profile, in 1/256: the centroids of the features that the default tables come from. */
export const RHO = { dct: [14, 28], none: [6, 13] } as const;
/** Rounding offset of the quantiser without a profile, in 1/256: fewest bytes at equal error, which is a flat optimum. */
export const DEAD_ZONE = { dct: 85, none: 102 } as const;

/** The largest divisor of a dimension that a block can have. */
export function blockSide(dimension: number): number {
  for (let side = Math.min(16, dimension); side > 1; side--) if (dimension % side === 0) return side;
  return 1;
}

/** The setup that a profile gives. The caller has checked {@link misfit}. */
export function setupOf(shape: readonly number[], profile: CodecProfile): IsthmusSetup {
  const view = viewOf(shape);
  return { ...profile, view, codedPlanes: (view.planes / profile.channels) * profile.rank };
}

/** The setup without a profile. */
export function plainSetup(
  shape: readonly number[],
  exponent: number,
  block: readonly [number, number],
  rho: readonly [number, number],
  sent?: Uint16Array,
): IsthmusSetup {
  const view = viewOf(shape);
  const tables = sent ?? (block[0] * block[1] > 1 ? SPECTRAL_TABLES : SPATIAL_TABLES);
  const channels = view.planes;
  return {
    view,
    codedPlanes: channels,
    exponent,
    channels,
    rank: channels,
    block,
    rho,
    tables,
    map: [1, 1],
    weights: UNIT_WEIGHT,
  };
}

/** Block of the plan's transform for a shape. */
export function plainBlock(shape: readonly number[], { transform }: IsthmusPlan): readonly [number, number] {
  const { rows, columns } = viewOf(shape);
  return transform === 'dct' ? [blockSide(rows), blockSide(columns)] : [1, 1];
}

export function writeIsthmusParams(
  header: IsthmusHeader,
  setup: IsthmusSetup,
  profile?: CodecProfile,
): Uint8Array {
  const { sent } = header;
  const tables = sent
    ? Array.from({ length: NEIGHBOUR_TABLES }, (_, k) => {
        const table = sent.subarray(k * TOKENS, (k + 1) * TOKENS);
        return table.some((f) => f > 0) ? writeTable(table) : new Uint8Array(4);
      })
    : [];
  const params = new Uint8Array(tables.reduce((sum, t) => sum + t.length, PARAMS_BYTES));
  const bits = (profile ? PROFILE : 0) | (sent ? SENT : 0) | (header.nonnegative ? NONNEGATIVE : 0);
  params.set([bits, Math.log2(header.lanes), header.shift, 0]);
  new DataView(params.buffer).setUint32(4, header.step, true);
  if (profile)
    params.set(
      Array.from({ length: 8 }, (_, i) => Number.parseInt(profile.name.slice(2 * i, 2 * i + 2), 16)),
      8,
    );
  else params.set([setup.exponent, ...setup.block, 0, ...setup.rho], 8);
  let at = PARAMS_BYTES;
  for (const table of tables) {
    params.set(table, at);
    at += table.length;
  }
  return params;
}

/** Finds a profile by the name that a frame gives. */
export type ProfileLookup = (name: string) => CodecProfile | undefined;

/** Nothing is damaged: the other end knows what this one was not told. */
const unknownProfile = (name: string) =>
  new IsthmusError(
    'FRAME_INVALID',
    `A tensor was made with the codec profile ${name}, which is not known here. Give it to the decoder, or where it comes with a model, fetch the manifest again on the side that is older.`,
  );

/**
 * Reads and checks params.
 * @throws IsthmusError FRAME_INVALID
 */
export function readIsthmusParams(
  params: Uint8Array,
  shape: readonly number[],
  profiles: ProfileLookup,
): { header: IsthmusHeader; setup: IsthmusSetup } {
  if (params.length < PARAMS_BYTES) throw damaged('its params have a wrong length');
  const view = new DataView(params.buffer, params.byteOffset, params.length);
  const bits = params[0]!;
  const lanesLog = params[1]!;
  const shift = view.getInt8(2);
  const step = view.getUint32(4, true);
  if (bits > 7 || (bits & 3) === 3 || params[3] !== 0) throw damaged('a reserved bit is set');
  if (lanesLog > 10) throw damaged(`it has 2^${lanesLog} lanes`);
  if (step < 1 || step > 65536) throw damaged(`its step is ${step}`);
  const header = { lanes: 2 ** lanesLog, shift, step, nonnegative: (bits & NONNEGATIVE) !== 0 };
  if (bits & PROFILE) {
    if (params.length !== PARAMS_BYTES) throw damaged('its params have a wrong length');
    const name = Array.from(params.subarray(8, 16), (b) => b.toString(16).padStart(2, '0')).join('');
    const profile = profiles(name);
    if (!profile) throw unknownProfile(name);
    const reason = misfit(viewOf(shape), profile);
    if (reason) throw damaged(`the codec profile ${name} does not fit: ${reason}`);
    const setup = setupOf(shape, profile);
    if (!setup.classes && shift !== 0) throw damaged('it shifts classes that are not there');
    checkLanes(header.lanes, setup);
    return { header, setup };
  }
  const [exponent, bh, bw, zero] = params.subarray(8, 12) as unknown as [number, number, number, number];
  const { rows, columns } = viewOf(shape);
  if (exponent < 1 || exponent > 254) throw damaged(`exponent ${exponent} is out of range`);
  if (bh < 1 || bw < 1 || bh > 16 || bw > 16 || rows % bh !== 0 || columns % bw !== 0)
    throw damaged(`its blocks are ${bh} × ${bw}`);
  if (zero !== 0 || params[14] !== 0 || params[15] !== 0 || shift !== 0)
    throw damaged('a reserved byte is set');
  const sent = bits & SENT ? readSentTables(params.subarray(PARAMS_BYTES)) : undefined;
  if (!sent && params.length !== PARAMS_BYTES) throw damaged('its params have a wrong length');
  const setup = plainSetup(shape, exponent, [bh, bw], [view.getInt8(12), view.getInt8(13)], sent);
  checkLanes(header.lanes, setup);
  return { header: { ...header, ...(sent && { sent }) }, setup };
}

function checkLanes(lanes: number, { codedPlanes, view }: IsthmusSetup): void {
  if (lanes > codedPlanes * view.rows)
    throw damaged(`it has ${lanes} lanes for ${codedPlanes * view.rows} rows`);
}

function readSentTables(bytes: Uint8Array): Uint16Array {
  const tables = new Uint16Array(NEIGHBOUR_TABLES * TOKENS);
  let at = 0;
  for (let k = 0; k < NEIGHBOUR_TABLES; k++) {
    const bitmap = bytes.subarray(at, at + 4);
    if (bitmap.length < 4) throw damaged('its frequency tables are cut short');
    const present = bitmap.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
    const length = present === 0 ? 4 : sentTableBytes(TOKENS, present);
    if (present > 0) tables.set(readTable(bytes.subarray(at, at + length), TOKENS), k * TOKENS);
    at += length;
  }
  if (at !== bytes.length) throw damaged('its params have a wrong length');
  return tables;
}
