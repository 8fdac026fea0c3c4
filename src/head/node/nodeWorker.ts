// Worker thread around the Node engine: answers the messages of nodeRuntime.ts, one reply each. No state of its own.
import { parentPort } from 'node:worker_threads';
import { IsthmusError } from '../../errors.ts';
import { NodeEngine } from './nodeEngine.ts';
import type { Call, FromWorker } from './nodeMessages.ts';

const port = parentPort!;
const engine = new NodeEngine();
const post = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

async function perform(id: number, call: Call): Promise<unknown> {
  switch (call.method) {
    case 'load':
      return engine.load(...call.args, (progress) => post({ id, progress }));
    case 'head':
      return engine.head(...call.args);
    case 'local':
      return engine.local(...call.args);
    case 'remote':
      return engine.remote(...call.args);
    case 'gzipFp16Bytes':
      return engine.gzipFp16Bytes(...call.args);
    case 'close':
      return engine.close();
  }
}

port.on('message', async ({ id, call }: { id: number; call: Call }) => {
  try {
    post({ id, value: await perform(id, call) });
  } catch (thrown) {
    const error = IsthmusError.from(thrown, 'INTERNAL', 'The Node engine met a defect; please report it.');
    post({ id, error: error.toJSON() });
  }
});
