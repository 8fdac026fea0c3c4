// One worker thread of the pool: onnxruntime-node and resampling block their thread while they run, so they run here
// and not on the event loop that answers requests. One job at a time; it knows nothing of HTTP or frames.
import { isMarkedAsUntransferable, parentPort, type Transferable, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { IsthmusError } from '../../errors.ts';
import { readableHalves } from '../../model/node/readableHalves.ts';
import type { DType, Tensor, TensorData, Tensors } from '../../tensor.ts';
import { pictureToTensor } from './picture.ts';
import { SessionCache } from './sessionCache.ts';
import type {
  JobMessage,
  PictureJob,
  RunJob,
  StopMessage,
  ThreadReply,
  ThreadSettings,
} from './threadMessages.ts';

const { intraOpThreads, sessionBytes } = workerData as ThreadSettings;

const sessions = new SessionCache(sessionBytes, (model) =>
  InferenceSession.create(model, {
    intraOpNumThreads: intraOpThreads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    // Idle threads of many sessions would otherwise spin on the cores that the next request needs.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  }),
);

async function run(job: RunJob, cancelled: Int32Array): Promise<ThreadReply> {
  let loading = 0;
  let working = 0;
  // Outputs of every segment stay at hand by name: a tensor may cross several cuts before it is read.
  const values = new Map(Object.entries(job.tensors).map(([name, t]) => [name, toOrt(t)]));
  for (const segment of job.segments) {
    if (Atomics.load(cancelled, 0) !== 0) return { cancelled: true };
    const begun = performance.now();
    const session = await sessions.get(segment);
    const loaded = performance.now();
    const feeds = Object.fromEntries(
      session.inputNames.map((name) => [name, readableHalves(need(values, name))]),
    );
    for (const [name, value] of Object.entries(await session.run(feeds))) {
      values.set(name, value as OrtTensor);
    }
    loading += loaded - begun;
    working += performance.now() - loaded;
  }
  const outputs = Object.fromEntries(job.outputs.map((name) => [name, fromOrt(need(values, name))]));
  return { outputs, loading, working };
}

async function picture({ file, spec, maxPixels, prepared }: PictureJob): Promise<ThreadReply> {
  const begun = performance.now();
  const tensor = await pictureToTensor(file, spec, maxPixels, prepared);
  return { outputs: { [spec.input]: tensor }, loading: 0, working: performance.now() - begun };
}

function need(values: Map<string, OrtTensor>, name: string): OrtTensor {
  const value = values.get(name);
  if (!value) throw new Error(`no segment computes '${name}'`);
  return value;
}

function toOrt({ dtype, data, shape }: Tensor): OrtTensor {
  return new OrtTensor(dtype as 'float32', data as Float32Array, [...shape]);
}

/** float16 comes as Float16Array where the platform has one; we keep bit patterns. */
function fromOrt({ type, dims, data }: OrtTensor): Tensor {
  const typed = data as TensorData;
  const bits = type === 'float16' ? new Uint16Array(typed.buffer, typed.byteOffset, typed.length) : typed;
  return { dtype: type as DType, shape: [...dims], data: bits };
}

/** Memory that onnxruntime owns itself cannot change threads; those tensors are copied by postMessage. */
function movable(outputs: Tensors): Transferable[] {
  const buffers = new Set(Object.values(outputs).map((t) => t.data.buffer));
  return [...buffers].filter(
    (b): b is ArrayBuffer => b instanceof ArrayBuffer && !isMarkedAsUntransferable(b),
  );
}

parentPort?.on('message', async (message: JobMessage | StopMessage) => {
  if ('stop' in message) {
    parentPort?.close();
    return;
  }
  const { job, cancelled } = message;
  let reply: ThreadReply;
  try {
    reply = job.kind === 'picture' ? await picture(job) : await run(job, cancelled);
  } catch (thrown) {
    const error = IsthmusError.from(thrown, 'INFERENCE_FAILED', 'onnxruntime could not run the tail.');
    reply = { error: error.toJSON() };
  }
  parentPort?.postMessage(reply, 'outputs' in reply ? movable(reply.outputs) : []);
});
