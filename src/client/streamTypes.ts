// The types of session.stream: where frames come from, how they are run, what comes back. Public; no behaviour here.

import type { Result } from './resultTypes.ts';
import type { Input, RunOptions } from './types.ts';

/**
 * Where frames come from: a playing video element, a camera (a MediaStream or its video track), or any iterable of inputs.
 * Inputs of an iterable stay the caller's.
 */
export type StreamSource =
  | HTMLVideoElement
  | MediaStream
  | MediaStreamTrack
  | AsyncIterable<Input>
  | Iterable<Input>;

/** `signal` ends the stream; `deadlineMs` and the rest hold for each frame. */
export interface StreamOptions extends RunOptions {
  /**
   * Always the newest frame: what arrives while no run may begin replaces what waits, and runs that the answer of a later frame
   * has overtaken are stopped or not delivered. Without it every frame of an iterable is answered, and a slow consumer stops the source.
   */
  latestOnly?: boolean;
  /** Frames that are run at once, answers that nobody has taken yet included. Default 3. */
  maxInFlight?: number;
  /**
   * 0…1: frames of the same size that are at least so much like the last one that was run, by thumbnails of 16 × 16 luma values,
   * are not run; its answer, report included, is given again with `repeated`. 0.99 suits a camera that stands still. Frames
   * without pixels at hand (encoded pictures, tensors) are always run. Default: run every frame.
   */
  similarity?: number;
  /** Told of frames without an answer; what it throws ends the stream. Otherwise only what every frame would fail with does. */
  onError?: (error: unknown, frame: number) => void;
}

export interface StreamResult extends Result {
  /** Number of the frame, as the source yielded them. */
  frame: number;
  /** Frames without an answer since the last result: replaced, overtaken or failed. */
  dropped: number;
  /** The frame looked like one before it; the answer is that one's. */
  repeated: boolean;
}
