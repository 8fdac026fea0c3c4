// One worker thread of the pool: decoding, onnxruntime-node and resampling block their thread while they run, so they run
// here and not on the event loop that answers requests. One piece of work at a time; it knows nothing of HTTP or frames.
import { isMarkedAsUntransferable, parentPort, type Transferable, workerData } from 'node:worker_threads';
import { InferenceSession } from 'onnxruntime-node';
import type { CodecProfile } from '../../codec/profile.ts';
import { pictureToTensor } from './picture.ts';
import { decodeTensors, failed, runItems } from './runItems.ts';
import { SessionCache } from './sessionCache.ts';
import type {
  DecodeWork,
  ItemReply,
  PictureWork,
  RunWork,
  StopMessage,
  ThreadReply,
  ThreadSettings,
  WorkMessage,
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
const profiles = new Map<string, CodecProfile>();
const profile = (name: string) => profiles.get(name);

async function run(work: RunWork, cancelled: Int32Array): Promise<ThreadReply> {
  const reply = await runItems(work, { session: (segment) => sessions.get(segment), profile, cancelled });
  return { ...reply, sessions: sessions.held() };
}

async function picture({ file, spec, maxPixels, prepared }: PictureWork): Promise<ThreadReply> {
  const begun = performance.now();
  const tensor = await pictureToTensor(file, spec, maxPixels, prepared);
  const working = performance.now() - begun;
  return { items: [{ outputs: { [spec.input]: tensor } }], loading: 0, decoding: 0, working };
}

function decode({ tensors }: DecodeWork): ThreadReply {
  const begun = performance.now();
  const items = [{ outputs: decodeTensors(tensors, profile) }];
  return { items, loading: 0, decoding: performance.now() - begun, working: 0 };
}

/** Memory that onnxruntime owns itself cannot change threads; those tensors are copied by postMessage. */
function movable(items: readonly ItemReply[]): Transferable[] {
  const outputs = items.flatMap((item) => ('outputs' in item ? Object.values(item.outputs) : []));
  const buffers = new Set(outputs.map((t) => t.data.buffer));
  return [...buffers].filter(
    (b): b is ArrayBuffer => b instanceof ArrayBuffer && !isMarkedAsUntransferable(b),
  );
}

async function answer({ work, cancelled, profiles: given, forget }: WorkMessage): Promise<void> {
  if (forget) profiles.clear();
  for (const profile of given) profiles.set(profile.name, profile);
  let reply: ThreadReply;
  try {
    if (work.kind === 'run') reply = await run(work, cancelled);
    else reply = work.kind === 'picture' ? await picture(work) : decode(work);
  } catch (thrown) {
    const error = failed(thrown, 'INFERENCE_FAILED', 'onnxruntime could not run the tail.');
    const items = Array.from(cancelled, () => error);
    reply = { items, loading: 0, decoding: 0, working: 0 };
  }
  parentPort?.postMessage(reply, movable(reply.items));
}

// The next work may be here already; it begins when the last has ended, and replies keep the order of the questions.
let last = Promise.resolve();
parentPort?.on('message', (message: WorkMessage | StopMessage) => {
  last = last.then(() => ('stop' in message ? parentPort?.close() : answer(message)));
});
