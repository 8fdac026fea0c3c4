// POST /models/:name/infer: one frame (or one picture) up, one frame (or JSON) down. It speaks HTTP; what is done with the
// body is the business of infer/service.ts.
import { Hono } from 'hono';
import { IsthmusError } from '../../errors.ts';
import { FRAME_TYPE, MESSAGES_TYPE } from '../../wire/layout.ts';
import type { TailContext, TailEnv, TailHandlerContext } from '../context.ts';
import { answerMeta } from '../infer/answer.ts';
import { pictureSpec } from '../infer/inputTensors.ts';
import { frameReply, jsonReply } from '../infer/reply.ts';
import { answerFrame, answerPicture, refuseWhenStopping } from '../infer/service.ts';
import { firstAnswer } from './answerStream.ts';
import { askedHeaders } from './askedHeaders.ts';
import { replyError } from './errorReply.ts';
import { findAny } from './modelRoutes.ts';
import { readBody } from './readBody.ts';

const PICTURE_TYPES = ['image/jpeg', 'image/png', 'image/webp'];
const NO_TAG = '0'.repeat(16);

export function inferRoutes(tail: TailContext): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();

  routes.post('/models/:name/infer', async (c) => {
    const type = mediaType(c.req.header('content-type'));
    const isFrame = type === FRAME_TYPE;
    if (isFrame && !wantsJson(c)) c.set('frameTag', NO_TAG);
    const model = findAny(tail, c.req.param('name'));
    if (isFrame && !wantsJson(c)) c.set('frameTag', model.manifest.id.slice(0, 16));
    refuseWhenStopping(tail);
    if (!isFrame && !PICTURE_TYPES.includes(type)) {
      const error = new IsthmusError(
        'REQUEST_INVALID',
        `The content type must be ${FRAME_TYPE} or one of ${PICTURE_TYPES.join(', ')}, not '${type.slice(0, 64)}'.`,
      );
      return replyError(c, error, tail.log, { status: 415 });
    }
    const asked = askedHeaders(c);
    if (!isFrame) pictureSpec(model.manifest);
    tail.threads.refuseWhenFull(); // and what is not read need not be copied
    const limit = isFrame ? tail.limits.frameBytes : tail.limits.pictureBytes;
    const body = await readBody(c.req.raw, limit, tail.bodies, c.env?.incoming);
    const bytesIn = body.byteLength; // the body itself may move to a worker and be empty here afterwards
    c.set('bytesIn', bytesIn);
    const several = (c.req.header('accept') ?? '').includes(MESSAGES_TYPE);
    const encoded = (ms: number) => tail.metrics.stage('encode', ms);
    const { answer, all, rest } = await firstAnswer(async (emit) => {
      tail.inFlight++; // answers may follow when this handler has ended
      try {
        if (isFrame) await answerFrame(tail, body, model, { ...asked, several }, emit);
        else await answerPicture(tail, body, model, asked, emit);
      } finally {
        tail.bodies.give(bytesIn);
        tail.inFlight--;
      }
    }, encoded);
    if (all) {
      c.set('rest', rest);
      return new Response(all, { headers: { 'content-type': MESSAGES_TYPE, 'cache-control': 'no-store' } });
    }
    const { manifest, cut, outputs, spent } = answer;
    const encoding = performance.now();
    const reply = wantsJson(c)
      ? jsonReply(manifest, outputs, spent)
      : frameReply(manifest, cut, outputs, spent, answerMeta(answer));
    encoded(performance.now() - encoding);
    return reply;
  });

  return routes;
}

/** Content type without parameters, in lower case; '' when there is none. */
function mediaType(header: string | undefined): string {
  return (header ?? '').split(';')[0]!.trim().toLowerCase();
}

function wantsJson(c: TailHandlerContext): boolean {
  const accept = c.req.header('accept') ?? '';
  return accept.includes('application/json') && !accept.includes(FRAME_TYPE);
}
