// POST /models/:name/infer: one frame (or one picture) up, one frame (or JSON) down. Everything is checked in the order
// of its cost: model, content type, size, frame, cut, shapes, and only then decoded and run.
import { Hono } from 'hono';
import { countedBytes, type EncodedTensor } from '../../codec/params.ts';
import { IsthmusError } from '../../errors.ts';
import type { Tensors } from '../../tensor.ts';
import { FRAME_TYPE, type Frame, INPUT_CUT } from '../../wire/layout.ts';
import { readFrame } from '../../wire/readFrame.ts';
import type { TailContext, TailEnv, TailHandlerContext } from '../context.ts';
import { inputTensors, type PictureReader, pictureSpec } from '../infer/inputTensors.ts';
import { frameReply, jsonReply } from '../infer/reply.ts';
import type { ServedModel } from '../models/registry.ts';
import type { InferOptions } from '../run/backend.ts';
import { replyError } from './errorReply.ts';
import { findModel } from './modelRoutes.ts';
import { readBody } from './readBody.ts';

const PICTURE_TYPES = ['image/jpeg', 'image/png', 'image/webp'];
const NO_TAG = '0'.repeat(16);

export function inferRoutes(tail: TailContext): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();

  routes.post('/models/:name/infer', async (c) => {
    const type = mediaType(c.req.header('content-type'));
    const isFrame = type === FRAME_TYPE;
    if (isFrame && !wantsJson(c)) c.set('frameTag', NO_TAG);
    const model = findModel(tail, c.req.param('name'));
    if (isFrame && !wantsJson(c)) c.set('frameTag', model.manifest.id.slice(0, 16));
    if (tail.stopping) {
      throw new IsthmusError(
        'CLOSED',
        'The tail is stopping. Send the request to another one, or again soon.',
      );
    }
    if (!isFrame && !PICTURE_TYPES.includes(type)) {
      const error = new IsthmusError(
        'REQUEST_INVALID',
        `The content type must be ${FRAME_TYPE} or one of ${PICTURE_TYPES.join(', ')}, not '${type.slice(0, 64)}'.`,
      );
      return replyError(c, error, tail.log, { status: 415 });
    }
    if (!isFrame) pictureSpec(model.manifest);
    const limit = isFrame ? tail.limits.frameBytes : tail.limits.pictureBytes;
    const body = await readBody(c.req.raw, limit, tail.bodies);
    const bytesIn = body.byteLength; // the body itself may move to a worker and be empty here afterwards
    c.set('bytesIn', bytesIn);
    let held = bytesIn;
    const hold = (bytes: number) => {
      tail.bodies.take(bytes);
      held += bytes;
    };
    try {
      return await answer(tail, c, model, body, isFrame, hold);
    } finally {
      tail.bodies.give(held);
    }
  });

  return routes;
}

/**
 * Bytes that decoding will allocate, at most 64 MiB a frame. A constant of that size is a frame of a hundred bytes, and
 * many may wait for a thread. Raw tensors stay where they are, in the body.
 */
function unpackedBytes({ tensors }: Frame): number {
  const bytes = ({ family, dtype, shape }: EncodedTensor) =>
    shape.reduce((n, dim) => n * dim, countedBytes(family, dtype));
  const stay = ['raw', 'image'];
  return tensors.filter((t) => !stay.includes(t.family)).reduce((sum, t) => sum + bytes(t), 0);
}

async function answer(
  tail: TailContext,
  c: TailHandlerContext,
  model: ServedModel,
  body: Uint8Array,
  isFrame: boolean,
  hold: (bytes: number) => void,
): Promise<Response> {
  const started = performance.now();
  const arrived = Date.now();
  const { manifest } = model;
  const options: InferOptions = { id: c.get('requestId'), signal: c.req.raw.signal };
  let waited = 0;
  const readPicture: PictureReader = async (file, spec, prepared) => {
    const maxPixels = tail.limits.picturePixels;
    const job = { kind: 'picture' as const, file, spec, maxPixels, prepared };
    const { outputs, queue } = await tail.threads.run(job, options);
    waited = queue;
    return outputs;
  };
  let cut = INPUT_CUT;
  let first = 0;
  let tensors: Tensors;
  if (isFrame) {
    const frame = readFrame(body, { frameBytes: tail.limits.frameBytes });
    hold(unpackedBytes(frame));
    const deadlineMs = readDeadline(frame.meta.deadlineMs);
    if (deadlineMs !== undefined) options.deadline = arrived + deadlineMs;
    cut = frame.cut;
    ({ first, tensors } = await inputTensors(frame, manifest, readPicture, model.profiles));
  } else {
    tensors = await readPicture(body, pictureSpec(manifest), false);
  }
  const decode = performance.now() - started - waited;
  const { outputs, timings } = await tail.backend.infer(model, first, tensors, options);
  const spent = { decode, queue: waited + timings.queue, tail: timings.tail };
  return wantsJson(c) ? jsonReply(manifest, outputs, spent) : frameReply(manifest, cut, outputs, spent);
}

/** `deadlineMs` in a request's meta: milliseconds from arrival after which nobody wants the answer any more. */
function readDeadline(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && value > 0) return value;
  throw new IsthmusError('FRAME_INVALID', 'meta.deadlineMs must be a number of milliseconds above 0.');
}

/** Content type without parameters, in lower case; '' when there is none. */
function mediaType(header: string | undefined): string {
  return (header ?? '').split(';')[0]!.trim().toLowerCase();
}

function wantsJson(c: TailHandlerContext): boolean {
  const accept = c.req.header('accept') ?? '';
  return accept.includes('application/json') && !accept.includes(FRAME_TYPE);
}
