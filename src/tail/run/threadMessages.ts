// What the pool and its worker threads say to each other. One job at a time per worker, so there are no job ids.
import type { ErrorJSON } from '../../errors.ts';
import type { Preprocess } from '../../model/manifest.ts';
import type { Tensors } from '../../tensor.ts';

export interface ThreadSettings {
  intraOpThreads: number;
  /** Bytes of segment files whose sessions one worker keeps. */
  sessionBytes: number;
}

export interface SegmentFile {
  path: string;
  sha256: string;
  bytes: number;
}

/** Run segments one after the other. */
export interface RunJob {
  kind: 'run';
  segments: SegmentFile[];
  tensors: Tensors;
  /** Names of the model's outputs. */
  outputs: string[];
}

/** Turn an encoded picture into the model's input. */
export interface PictureJob {
  kind: 'picture';
  file: Uint8Array;
  spec: Preprocess;
  maxPixels: number;
  /** The picture has the size of the crop already. */
  prepared: boolean;
}

export interface JobMessage {
  job: RunJob | PictureJob;
  /** One int32 in shared memory; anything but 0 means that nobody waits any more. Looked at between segments. */
  cancelled: Int32Array<SharedArrayBuffer>;
}

/** Milliseconds: `loading` for sessions that were not there yet, `working` for the job itself. */
export type ThreadReply =
  | { outputs: Tensors; loading: number; working: number }
  | { cancelled: true }
  | { error: ErrorJSON };

/** The thread ends once what it does now is done. */
export interface StopMessage {
  stop: true;
}
