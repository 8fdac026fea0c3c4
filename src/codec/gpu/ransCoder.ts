// The entropy coder of the GPU, for any family: its ranges, its two passes, and the reading of its stream. A family's own
// passes write `steps` and the lanes that find theirs in it (shaders/lib/ransCoder.wgsl), then these passes run.
import { IsthmusError } from '../../errors.ts';
import type { Region, Stage } from './family.ts';
import { CODER_SHADERS } from './ransShaders.ts';
import type { Tuning } from './tuning.ts';

/** Bytes of `Lanes` before its array, and of a `Lane`, in ransCoder.wgsl. */
const LANES_BYTES = 8;
const LANE_BYTES = 24;
const LANE_WORDS = LANE_BYTES / 4;
/** One lane per invocation: small workgroups, so that lanes spread over the processors of the adapter. */
const LANES_PER_WORKGROUP = 32;

/** What a family knows of its steps beforehand. */
export interface CoderBounds {
  steps: number;
  lanes: number;
  /** Of the words of all lanes together. */
  payloadBytes: number;
}

/** `steps` for the family's passes to write, `lanes` too; `lanes` and `payload` are read back. */
export function coderRegions({ steps, lanes, payloadBytes }: CoderBounds): Record<string, Region> {
  return {
    steps: { bytes: 4 * steps },
    lanes: { bytes: LANES_BYTES + LANE_BYTES * lanes, output: true },
    laneWords: { bytes: 4 * (Math.ceil(steps / 2) + lanes) },
    payload: { bytes: payloadBytes, output: true },
  };
}

export function coderStage({ lanes, payloadBytes }: CoderBounds, { workgroup, workgroups }: Tuning): Stage {
  const perWorkgroup = Math.min(LANES_PER_WORKGROUP, workgroup);
  return {
    uniform: new Uint32Array(2),
    storage: ['lanes', 'steps', 'laneWords', 'payload'],
    dispatches: [
      {
        pass: {
          name: 'rans encodeLanes',
          code: CODER_SHADERS.encodeLanes,
          constants: { WORKGROUP: perWorkgroup },
        },
        workgroups: Math.ceil(lanes / perWorkgroup),
      },
      {
        pass: {
          name: 'rans compactLanes',
          code: CODER_SHADERS.compactLanes,
          constants: { WORKGROUP: workgroup },
        },
        workgroups: Math.min(workgroups, Math.max(1, Math.ceil(payloadBytes / 4 / workgroup))),
      },
    ],
  };
}

/** The number of lanes and FORMAT.md's stream, from the read-back `lanes` and `payload`. */
export function readStream(
  lanesRead: Uint8Array<ArrayBuffer>,
  payloadRead: Uint8Array<ArrayBuffer>,
): { lanes: number; stream: Uint8Array } {
  const words = new Uint32Array(lanesRead.buffer, lanesRead.byteOffset, lanesRead.length / 4);
  const lanes = words[0]!;
  const bytes = 2 * words[1]!;
  if (lanes * LANE_BYTES + LANES_BYTES > lanesRead.length || bytes > payloadRead.length)
    throw new IsthmusError(
      'INTERNAL',
      `The GPU reports ${lanes} lanes with ${bytes} bytes, more than there can be. Please report this defect.`,
    );
  const field = (lane: number, at: number) => words[LANES_BYTES / 4 + lane * LANE_WORDS + at]!;
  const counts: number[] = [];
  for (let lane = 0; lane < lanes - 1; lane++) {
    let rest = field(lane, 5);
    for (; rest > 127; rest >>= 7) counts.push((rest & 0x7f) | 0x80);
    counts.push(rest);
  }
  const stream = new Uint8Array(4 * lanes + counts.length + bytes);
  const view = new DataView(stream.buffer);
  for (let lane = 0; lane < lanes; lane++) view.setUint32(4 * lane, field(lane, 4), true);
  stream.set(counts, 4 * lanes);
  stream.set(payloadRead.subarray(0, bytes), 4 * lanes + counts.length);
  return { lanes, stream };
}
