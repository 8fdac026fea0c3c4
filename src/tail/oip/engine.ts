// What the two protocols of an engine (gRPC, REST) have in common for the backend that forwards to it: one request, its
// outputs as they came, and failures sorted by whether the engine may have begun. Interfaces only.
import type { IsthmusError } from '../../errors.ts';
import type { TensorInfo } from '../../model/manifest.ts';
import type { Tensor } from '../../tensor.ts';
import type { Sequence } from '../run/backend.ts';

export interface EngineRequest {
  /** The engine's name of the model. */
  model: string;
  /** Request id, for the engine's log. */
  id: string;
  inputs: readonly { name: string; tensor: Tensor }[];
  outputs: readonly TensorInfo[];
  sequence: Sequence | undefined;
  /** Milliseconds since the epoch. */
  deadline: number;
  signal: AbortSignal | undefined;
}

/** One output, not yet compared with anything. */
export interface EngineOutput {
  name: string;
  datatype: string;
  shape: readonly number[];
  /** Raw bytes, or numbers. */
  bytes?: Uint8Array;
  numbers?: unknown;
}

/** `refused`: the engine has done nothing for this request (no connection, or it said that it is busy). */
export type EngineOutcome = { outputs: EngineOutput[] } | { refused: IsthmusError };

export interface Engine {
  /** For messages: protocol, host and port. */
  readonly address: string;
  /** @throws IsthmusError INFERENCE_FAILED, DEADLINE_EXCEEDED, OFFLINE (gone while it may have worked), SEQUENCE_LOST; AbortError */
  infer(request: EngineRequest): Promise<EngineOutcome>;
  close(): void;
}

/** Bytes of an answer at most. */
export const LARGEST_ANSWER = 65 * 1024 * 1024;
