// What a run gives back: outputs, where they were computed, what travelled and how long each stage took. Types only.
import type { IsthmusError } from '../errors.ts';
import type { DeviceReport } from '../head/runtime.ts';
import type { ExitRule } from '../model/manifest.ts';
import type { Label } from '../model/topLabels.ts';
import type { Tensors } from '../tensor.ts';
import type { TransportKind } from '../transport/transport.ts';
import type { RunOptions } from './types.ts';

export type { ExitRule };

/** The answer of one task. */
export interface TaskAnswer {
  task: string;
  outputs: Tensors;
  /** Best first, at most five; only for tasks with labels. */
  labels?: Label[];
}

/** What the tail keeps of a run. It forgets after a while; then the feature is sent again, without anybody noticing. */
export interface KeptFeature {
  /** Its name at the tail; changes when it was sent again. */
  readonly id: string;
  /** Asks further tasks of it. @throws as {@link Session.run} */
  run(options?: Pick<RunOptions, 'tasks' | 'onTask' | 'deadlineMs' | 'priority' | 'signal'>): Promise<Result>;
}

/** Milliseconds per stage, in the order they happen; a stage that did not happen is absent. */
export interface Timings {
  /** Decoding, resizing, cropping and normalising a picture. */
  preprocess?: number;
  /** Every segment that ran on this device. */
  head?: number;
  /** Codec on this device, reading back from the GPU included; for `remote` writing the JPEG or WebP. */
  encode?: number;
  /** The way there: send to first byte of the reply, less the server's stages. It holds one round trip. */
  uplink?: number;
  decode?: number;
  /** Waiting for the tail to be free. */
  queue?: number;
  tail?: number;
  /** Reading the reply. */
  downlink?: number;
  /** Wall clock from call to answer. */
  total: number;
}

export interface Report {
  /** Where the answer was computed. */
  ran: 'split' | 'local' | 'remote' | 'exit';
  /** Name of the cut, where it ran split or ended at an exit. */
  cut?: string;
  /** Name of the preset, or `custom`, where it ran split. */
  preset?: string;
  /** How the picture travelled, where it ran remotely; `quality` is 0…1, as for a canvas. */
  upload?: { format: 'jpeg' | 'webp'; quality: number };
  /** The exit that answered, and how sure it was: the largest probability, its margin, or the entropy in nats. */
  exit?: { name: string; rule: ExitRule; value: number };
  device: DeviceReport;
  /** What carried the answer, where one crossed. */
  transport?: TransportKind;
  bytes: {
    /** Frames sent and received, every attempt of every plan counted that a connection took; HTTP and TLS come on top. */
    up: number;
    down: number;
    /** The feature as float32. */
    raw?: number;
  };
  ms: Timings;
  model: { name: string; id: string };
  /**
   * Why another way than the wanted one was taken: `CODE: sentence` of the first failure, or `STALL: sentence` where nothing
   * failed but the tail was slow and this device was faster.
   */
  degraded?: string;
}

export interface Result {
  /** Of `main`; none where only other tasks were asked, or it is among `failedTasks`. */
  outputs: Tensors;
  /** Best first, at most five; only for models whose manifest has labels. */
  labels?: Label[];
  /** The tasks that were named and answered, by name. */
  tasks?: Record<string, TaskAnswer>;
  /** Those that failed where others did not. */
  failedTasks?: Record<string, IsthmusError>;
  /** Where `keep` was asked for and the tail does it. */
  feature?: KeptFeature;
  report: Report;
}
