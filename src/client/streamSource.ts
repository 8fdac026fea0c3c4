// Sources of a stream: a playing video, a camera's track or stream, or any iterable of inputs, as one kind of iterator. Frames
// that were made here are closed here; what a caller's iterable yields stays the caller's.
import { IsthmusError } from '../errors.ts';
import type { StreamSource } from './streamTypes.ts';
import type { Input } from './types.ts';

export interface Frame {
  input: Input;
  /** Frees what the source made for this frame. */
  release(): void;
}

export interface FrameSource {
  /** The next frame, once there is one; undefined at the end. */
  next(): Promise<Frame | undefined>;
  /** Ends it, and a `next` that waits. */
  stop(): void;
}

const keep = () => undefined;

/** @throws INPUT_INVALID naming what is accepted */
export async function openSource(source: StreamSource): Promise<FrameSource> {
  const tag = Object.prototype.toString.call(source).slice(8, -1);
  if (tag === 'HTMLVideoElement') return videoFrames(source as HTMLVideoElement);
  if (tag === 'MediaStreamTrack' || tag === 'CanvasCaptureMediaStreamTrack')
    return trackFrames(source as MediaStreamTrack);
  if (tag === 'MediaStream') {
    const [track] = (source as MediaStream).getVideoTracks();
    if (track) return trackFrames(track);
  }
  // Letters of a string and numbers of an array's buffer are no frames.
  const given = typeof source === 'object' && !ArrayBuffer.isView(source) ? source : undefined;
  const iterable = given as Partial<AsyncIterable<Input> & Iterable<Input>> | undefined;
  const iterator = iterable?.[Symbol.asyncIterator]?.() ?? iterable?.[Symbol.iterator]?.();
  if (iterator) return iterated(iterator);
  throw new IsthmusError(
    'INPUT_INVALID',
    `A ${tag} is no source of frames. Give a playing video element, a MediaStream or video track, or an (async) iterable of inputs.`,
  );
}

function iterated(iterator: AsyncIterator<Input> | Iterator<Input>): FrameSource {
  let ended = false;
  return {
    async next() {
      try {
        const { done, value } = await iterator.next();
        if (!done) return { input: value, release: keep };
      } catch (thrown) {
        ended = true;
        throw thrown;
      }
      ended = true;
      return undefined;
    },
    stop() {
      if (ended) return;
      try {
        // A generator that waits inside a pull takes notice when that is over; nobody waits for it.
        Promise.resolve(iterator.return?.()).catch(keep);
        ended = true;
      } catch {
        // One that runs just now, as it stopped the stream itself; it is asked again when it has yielded.
      }
    },
  };
}

/** The element itself stands for each of its frames: a picture is taken when a run begins, so none is older than that. */
function videoFrames(video: HTMLVideoElement): FrameSource {
  let stopped = false;
  let cancel: () => void = keep;
  return {
    next: () =>
      new Promise((resolve, reject) => {
        const { signal, end } = listening();
        const settle = (frame: Frame | undefined) => {
          cancel = keep;
          end();
          resolve(frame);
        };
        const broken = () => {
          end();
          reject(new IsthmusError('INPUT_INVALID', `The video cannot be played: ${video.error?.message}`));
        };
        if (stopped || video.ended) return settle(undefined);
        if (video.error) return broken();
        cancel = () => settle(undefined);
        video.addEventListener('ended', cancel, { signal });
        video.addEventListener('emptied', cancel, { signal });
        video.addEventListener('error', broken, { signal });
        onFrame(video, signal, () => settle({ input: video, release: keep }));
      }),
    stop() {
      stopped = true;
      cancel();
    },
  };
}

function listening() {
  const controller = new AbortController();
  return { signal: controller.signal, end: () => controller.abort() };
}

/** Calls once, when the video shows a frame that it did not show before. */
function onFrame(video: HTMLVideoElement, signal: AbortSignal, tell: () => void): void {
  if (typeof video.requestVideoFrameCallback === 'function') {
    const id = video.requestVideoFrameCallback(tell);
    signal.addEventListener('abort', () => video.cancelVideoFrameCallback(id));
    return;
  }
  const before = video.currentTime;
  const timer = setInterval(() => {
    if (video.currentTime === before || video.readyState < 2) return;
    clearInterval(timer);
    tell();
  }, 8);
  signal.addEventListener('abort', () => clearInterval(timer));
}

/** Chromium's, not in TypeScript's library. */
type TrackProcessor = new (init: {
  track: MediaStreamTrack;
  maxBufferSize?: number;
}) => { readable: ReadableStream<VideoFrame> };

/** Frames as they come off the camera where the platform has them, and else through a video element of our own. */
async function trackFrames(track: MediaStreamTrack): Promise<FrameSource> {
  if (track.kind !== 'video')
    throw new IsthmusError('INPUT_INVALID', `A ${track.kind} track has no frames; give a video track.`);
  if (track.readyState === 'ended') return { next: async () => undefined, stop: keep };
  const { MediaStreamTrackProcessor } = globalThis as { MediaStreamTrackProcessor?: TrackProcessor };
  if (!MediaStreamTrackProcessor) return elementFrames(track);
  const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1 }).readable.getReader();
  return {
    async next() {
      const { done, value } = await reader.read();
      return done ? undefined : { input: value, release: () => value.close() };
    },
    stop() {
      reader.cancel().catch(keep);
    },
  };
}

async function elementFrames(track: MediaStreamTrack): Promise<FrameSource> {
  if (typeof document === 'undefined') {
    throw new IsthmusError(
      'INPUT_INVALID',
      'This worker cannot read a video track; stream on the page instead.',
    );
  }
  const video = document.createElement('video');
  video.muted = true;
  video.playsInline = true;
  video.srcObject = new MediaStream([track]);
  const frames = videoFrames(video);
  const stop = () => {
    track.removeEventListener('ended', stop);
    frames.stop();
    video.pause();
    video.srcObject = null;
  };
  track.addEventListener('ended', stop, { once: true });
  try {
    await video.play();
  } catch (thrown) {
    stop();
    throw IsthmusError.from(thrown, 'INPUT_INVALID', 'The browser does not play this track.');
  }
  return { next: () => frames.next(), stop };
}
