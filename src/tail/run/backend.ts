// TailBackend: runs the segments behind a cut. `ort` (onnxruntime-node in worker threads) is the first; forwarding to
// an inference engine over the Open Inference Protocol fits the same interface.
import type { EncodedTensor } from '../../codec/params.ts';
import type { CodecProfile } from '../../codec/profile.ts';
import type { Manifest } from '../../model/manifest.ts';
import type { Tensors } from '../../tensor.ts';

export interface InferOptions {
  /** Request id for logs. */
  id: string;
  /** Milliseconds since the epoch; work that has not begun by then is refused. */
  deadline?: number | undefined;
  signal?: AbortSignal | undefined;
  /** 0 (first) to 7 (when nothing else waits): RFC 9218. Default 3. */
  urgency?: number | undefined;
  /** For engines that keep state between requests; onnxruntime here keeps none. */
  sequence?: Sequence | undefined;
  /** The only thread that may do it, where there are threads: for warming each of them up. */
  thread?: number | undefined;
}

/** Requests that an engine must meet in order, on one instance. */
export interface Sequence {
  /** A whole number above 0, or printable text. */
  id: string;
  start: boolean;
  end: boolean;
}

export interface InferResult {
  outputs: Tensors;
  /** Milliseconds; `decode` where the backend decoded the tensors. */
  timings: { queue: number; decode?: number; tail: number };
}

/** By name, as they came on the wire. Their shapes have been compared with the manifest. */
export type EncodedTensors = Record<string, EncodedTensor>;

export interface ModelFiles {
  manifest: Manifest;
  /** Absolute path of a segment's file. */
  path(segment: number): string;
  /** The same file by its sha256, open since it was checked: what lies at the path may be another one by now. */
  fd?(sha256: string): number | undefined;
  /** Codec profiles of its cuts, by the names that frames give. */
  profiles?: ReadonlyMap<string, CodecProfile>;
}

export interface TailBackend {
  /** Runs segments first…last (inclusive) of the model on the tensors of the cut before `first`. */
  infer(model: ModelFiles, first: number, tensors: Tensors, options: InferOptions): Promise<InferResult>;
  /** The same for a backend that decodes, too; others are given decoded tensors. */
  inferEncoded?(
    model: ModelFiles,
    first: number,
    tensors: EncodedTensors,
    options: InferOptions,
  ): Promise<InferResult>;
  close(): Promise<void>;
}
