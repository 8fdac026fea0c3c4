// What the pool and its worker threads say to each other. A worker does one piece of work after the other and answers in
// order, so there are no ids.
import type { EncodedTensor } from '../../codec/params.ts';
import type { CodecProfile } from '../../codec/profile.ts';
import type { ErrorJSON } from '../../errors.ts';
import type { Preprocess } from '../../model/manifest.ts';
import type { Tensor, Tensors } from '../../tensor.ts';

export interface ThreadSettings {
  intraOpThreads: number;
  /** Bytes of segment files whose sessions one worker keeps. */
  sessionBytes: number;
}

export interface SegmentFile {
  path: string;
  /** The file, open, where the model's files are kept so. */
  fd?: number | undefined;
  sha256: string;
  bytes: number;
}

/** By name: tensors as they are, or as they came on the wire; the worker decodes those. */
export type JobTensors = Record<string, Tensor | EncodedTensor>;

/** One request's part of a run. */
export interface RunItem {
  tensors: JobTensors;
  /** Milliseconds since the epoch. */
  deadline: number | undefined;
}

/** Run segments one after the other, for all items together. */
export interface RunWork {
  kind: 'run';
  segments: readonly SegmentFile[];
  /** Names of the tensors that are wanted. */
  outputs: readonly string[];
  items: RunItem[];
  /**
   * Nobody knows yet whether these segments give the same for items together as for each alone: find out, and answer
   * from runs of each alone.
   */
  probe: boolean;
}

/** Turn an encoded picture into the model's input. */
export interface PictureWork {
  kind: 'picture';
  file: Uint8Array;
  spec: Preprocess;
  maxPixels: number;
  /** The picture has the size of the crop already. */
  prepared: boolean;
}

/** Decode, for a backend that runs elsewhere. */
export interface DecodeWork {
  kind: 'decode';
  tensors: Record<string, EncodedTensor>;
}

export interface WorkMessage {
  work: RunWork | PictureWork | DecodeWork;
  /** One int32 per item in shared memory; anything but 0 means that nobody waits any more. Looked at between segments. */
  cancelled: Int32Array<SharedArrayBuffer>;
  /** Those that encoded tensors name and this worker has not been given yet. */
  profiles: CodecProfile[];
  /** Forget the profiles given before. */
  forget: boolean;
}

export type ItemReply = { outputs: Tensors } | { cancelled: true } | { error: ErrorJSON };

/** Milliseconds: `loading` for sessions that were not there yet, then `decoding` and `working`. */
export interface ThreadReply {
  /** One for each item, in order. */
  items: ItemReply[];
  loading: number;
  decoding: number;
  working: number;
  /** Answer to `probe`; undefined when it could not be told from these items. */
  together?: boolean | undefined;
  /** sha256 of the segments whose sessions this worker has now. */
  sessions?: string[];
}

/** The thread ends once what it was given is done. */
export interface StopMessage {
  stop: true;
}
