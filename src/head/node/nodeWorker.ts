// Worker thread around the Node engine: answers the messages of nodeRuntime.ts, one reply each. After `close` it takes
// no more, breaks off downloads, finishes what it computes and ends.
import { parentPort } from 'node:worker_threads';
import { IsthmusError } from '../../errors.ts';
import { NodeEngine } from './nodeEngine.ts';
import { writableFormats } from './nodeImage.ts';
import type { Call, FromWorker } from './nodeMessages.ts';

const port = parentPort!;
const engine = new NodeEngine();
const running = new Set<Promise<void>>();
const post = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

async function perform(id: number, call: Call): Promise<unknown> {
  switch (call.method) {
    case 'load':
      return engine.load(...call.args, (progress) => post({ id, progress }));
    case 'head':
      return engine.head(...call.args);
    case 'early':
      return engine.early(...call.args, (answer) => post({ id, answer }));
    case 'local':
      return engine.local(...call.args);
    case 'remote':
      return engine.remote(...call.args);
    case 'formats':
      return writableFormats();
    case 'gzipFp16Bytes':
      return engine.gzipFp16Bytes(...call.args);
    case 'close':
      return undefined; // answered like any other, so that its caller need not know what is still running
  }
}

async function answer(id: number, call: Call): Promise<void> {
  try {
    post({ id, value: await perform(id, call) });
  } catch (thrown) {
    const error = IsthmusError.from(thrown, 'INTERNAL', 'The Node engine met a defect; please report it.');
    post({ id, error: error.toJSON() });
  }
}

async function end(): Promise<void> {
  port.off('message', take);
  engine.abort();
  await Promise.all(running);
  await engine.close();
  port.close();
}

function take({ id, call }: { id: number; call: Call }): void {
  const work = answer(id, call);
  running.add(work);
  work.finally(() => running.delete(work));
  if (call.method === 'close') void end();
}

port.on('message', take);
