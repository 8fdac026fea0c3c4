// isthmus in Node: the same API as in the browser, with onnxruntime-node in a worker thread as the device.
import { connectOn } from './client/connect.ts';
import type { ConnectOptions, Session } from './client/types.ts';
import { nodeRuntime } from './head/node/nodeRuntime.ts';
import { nodeHolds, nodeKept } from './head/node/nodeStore.ts';

export type * from './client/planTypes.ts';
export type * from './client/resultTypes.ts';
export type * from './client/streamTypes.ts';
export type * from './client/types.ts';
export { PRESETS } from './codec/params.ts';
export { type ErrorCode, IsthmusError } from './errors.ts';
export type * from './head/runtime.ts';

/** As in the browser (src/index.ts); `device` and `worker` are ignored. */
export function connect(endpoint: string, options?: ConnectOptions): Promise<Session> {
  return connectOn({ start: async () => nodeRuntime(), kept: nodeKept, holds: nodeHolds }, endpoint, options);
}
