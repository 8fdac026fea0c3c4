// TailBackend: runs the segments behind a cut. `ort` (onnxruntime-node in worker threads) is the first; forwarding to
// an inference engine over the Open Inference Protocol fits the same interface.
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
}

export interface InferResult {
  outputs: Tensors;
  timings: { queue: number; tail: number };
}

export interface ModelFiles {
  manifest: Manifest;
  /** Absolute path of a segment's file. */
  path(segment: number): string;
}

export interface TailBackend {
  /** Runs segments first…last (inclusive) of the model on the tensors of the cut before `first`. */
  infer(model: ModelFiles, first: number, tensors: Tensors, options: InferOptions): Promise<InferResult>;
  close(): Promise<void>;
}
