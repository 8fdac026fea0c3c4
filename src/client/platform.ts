// Platform: what connect() needs that browsers and Node do differently. src/index.ts wires the worker,
// src/index.node.ts wires onnxruntime-node; client code itself touches neither.
import type { HeadRuntime } from '../head/runtime.ts';
import type { KeptThings } from './memory.ts';
import type { ConnectOptions } from './types.ts';

export interface Platform {
  /** Starts whatever computes on this device. @throws WORKER_FAILED, WEBGPU_UNAVAILABLE, INFERENCE_FAILED. */
  start(options: Pick<ConnectOptions, 'device' | 'worker'>): Promise<HeadRuntime>;
  /** Where manifests are kept between sessions. */
  kept?(): KeptThings;
  /** Whether a segment lies on this device, so that it can be computed without a tail. It never rejects. */
  holds?(sha256: string): Promise<boolean>;
}
