// The params of family isthmus, and how the tensor is seen: planes of rows and columns, in groups of C channels.
import { Bytes } from './bytes.ts';
import { defaultTables } from './defaultTables.ts';
import type { Profile } from './profile.ts';
import { readSentTable, type Table } from './ransCoder.ts';
import { demand } from './refuse.ts';
import { CONST, SANITISED, SIGNED, type TensorRecord } from './tensorRecord.ts';

/** All that decoding needs to know of a tensor besides its payload. */
export interface Isthmus extends Pick<Profile, 'E' | 'rho' | 'block' | 'map' | 'weights' | 'tables'> {
  /** Undefined without a profile. */
  readonly profile: Profile | undefined;
  /** Groups of C channels or of R coefficient planes. */
  readonly groups: number;
  readonly C: number;
  readonly R: number;
  readonly H: number;
  readonly W: number;
  readonly lanes: number;
  readonly shift: number;
  readonly step: number;
  readonly signed: boolean;
  readonly nonnegative: boolean;
}

/** Profiles of the reader, by name. */
export type Profiles = ReadonlyMap<string, Profile>;

/** Reads and checks flags, params and shape. */
export function readIsthmusParams(tensor: TensorRecord, profiles: Profiles): Isthmus {
  demand((tensor.flags & ~(CONST | SANITISED | SIGNED)) === 0, 'flags');
  demand(!tensor.shape.includes(0), 'T = 0 without CONST');
  const W = tensor.shape.at(-1) ?? 1;
  const H = tensor.shape.at(-2) ?? 1;
  const P = tensor.shape.slice(0, -2).reduce((product, d) => product * d, 1);

  const params = new Bytes(tensor.params);
  const bits = params.uint(1, 'params');
  const logLanes = params.uint(1, 'params');
  const shift = params.int(1, 'params');
  const reserved = params.uint(1, 'params');
  const step = params.uint(4, 'params');
  const rest = new Bytes(params.take(8, 'params'));
  const [named, sent] = [(bits & 1) !== 0, (bits & 2) !== 0];
  demand(bits <= 7 && reserved === 0 && !(named && sent), 'reserved bits and bytes');
  demand(logLanes <= 10, 'L');
  demand(step >= 1 && step <= 65536, 'step');

  const profile = named ? findProfile(rest, profiles) : undefined;
  const own = profile ?? readOwn(rest, P, sent ? readTables(params) : undefined);
  demand(params.left === 0, 'params length');
  demand(shift === 0 || profile?.classes !== undefined, 'shift where there are no classes');
  demand(H % own.block[0] === 0 && W % own.block[1] === 0, 'H or W is no multiple of the block');
  demand(profile === undefined || P % profile.C === 0, 'P is no multiple of C');
  const groups = profile ? P / profile.C : 1;
  demand(2 ** logLanes <= groups * own.R * H, 'more lanes than rows');
  return {
    ...own,
    profile,
    groups,
    H,
    W,
    lanes: 2 ** logLanes,
    shift,
    step,
    signed: (tensor.flags & SIGNED) !== 0,
    nonnegative: (bits & 4) !== 0,
  };
}

function findProfile(bytes: Bytes, profiles: Profiles): Profile {
  const name = [...bytes.take(8, 'name')].map((b) => b.toString(16).padStart(2, '0')).join('');
  const profile = profiles.get(name);
  demand(profile !== undefined, `unknown profile ${name}`);
  return profile;
}

function readTables(params: Bytes): Table[] {
  return Array.from({ length: 15 }, () => readSentTable(params, 27, true));
}

/** What stands in the params where no profile is named. */
function readOwn(bytes: Bytes, P: number, sent: Table[] | undefined) {
  const E = bytes.uint(1, 'params');
  const block = [bytes.uint(1, 'params'), bytes.uint(1, 'params')] as const;
  const zero = bytes.uint(1, 'params');
  const rho = [bytes.int(1, 'params'), bytes.int(1, 'params')] as const;
  demand(zero === 0 && bytes.uint(2, 'params') === 0, 'reserved bytes');
  demand(E >= 1 && E <= 254, 'E');
  demand(
    block.every((b) => b >= 1 && b <= 16),
    'bh or bw',
  );
  const tables = sent ?? defaultTables(block[0] * block[1] > 1);
  return { E, rho, block, map: [1, 1] as const, weights: [256], tables, C: P, R: P };
}
