// isthmus in the browser: the whole public surface. The device is a worker with WebGPU or wasm.
import { isIosLike } from './client/caution.ts';
import { connectOn } from './client/connect.ts';
import type { ConnectOptions, Session } from './client/types.ts';
import { createSafeStore } from './head/store/safeStore.ts';
import { SegmentCache } from './head/store/segmentCache.ts';
import { spawnRuntime } from './worker/spawn.ts';

export type * from './client/planTypes.ts';
export type * from './client/resultTypes.ts';
export type * from './client/streamTypes.ts';
export type * from './client/types.ts';
export { PRESETS } from './codec/params.ts';
export { type ErrorCode, IsthmusError } from './errors.ts';
export type * from './head/runtime.ts';

/**
 * Opens a session with one model at one tail: fetches its manifest, starts a worker, downloads and compiles the
 * segments that the mode runs here.
 *
 * @param endpoint - `https://host/models/NAME`, or `https://host` of a tail with one model; relative in pages.
 * @throws IsthmusError OFFLINE, NOT_ISTHMUS, MODEL_NOT_FOUND, MANIFEST_INVALID, OPTION_INVALID, CUT_INVALID, …; the
 * signal's reason when `signal` fires. What was opened is closed again.
 * @example
 * const session = await connect('https://tail.example/models/neck10');
 * const { labels, report } = await session.run(file);
 * console.log(labels?.[0]?.label, report.bytes.up, report.ms.total);
 * await session.close();
 */
export function connect(endpoint: string, options?: ConnectOptions): Promise<Session> {
  return connectOn({ start: startWorker, kept, holds }, endpoint, options);
}

const kept = () => createSafeStore('isthmus-manifests');

const holds = (sha256: string) => new SegmentCache().holds(sha256);

const startWorker = ({ device, worker, wasmPaths, recycle = 'auto' }: ConnectOptions) => {
  const limits =
    recycle === 'auto' ? (isIosLike(navigator) ? IOS_LIMITS : {}) : recycle === 'off' ? {} : recycle;
  return spawnRuntime({
    ...(device && { device }),
    ...(worker && { worker }),
    ...(wasmPaths && { wasmPaths }),
    recycle: limits,
  });
};

/** Safari's pages died after some 500 runs, and near 1.5 GB. */
const IOS_LIMITS = { runs: 300, megabytes: 600 };
