// /v2: the Open Inference Protocol over HTTP, so that KServe, its clients and gateways can use a tail like any other
// engine. Health, metadata and inference; reading and writing bodies is restRequest.ts and restReply.ts.
// https://github.com/kserve/open-inference-protocol, and Triton's binary tensor data extension.
import { promisify } from 'node:util';
import { inflateRaw, unzip, type ZlibOptions } from 'node:zlib';
import { Hono } from 'hono';
import { IsthmusError } from '../../errors.ts';
import type { TailContext, TailEnv, TailHandlerContext } from '../context.ts';
import { askedHeaders } from '../http/askedHeaders.ts';
import { readBody } from '../http/readBody.ts';
import { refuseWhenStopping } from '../infer/service.ts';
import { jsonLength, LENGTH_HEADER } from './binaryBody.ts';
import { inferOip } from './inferOip.ts';
import { withParameters } from './parameters.ts';
import { replyOipError } from './replyOipError.ts';
import { restReply } from './restReply.ts';
import { readRestRequest } from './restRequest.ts';
import { serverMetadata } from './serverMetadata.ts';
import { findTarget, metadataOf, type Target } from './targets.ts';

/** JSON becomes numbers and then elements, which together take several times its bytes. */
const JSON_GROWTH = 8;

export function oipRoutes(tail: TailContext): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();
  const fresh = { 'cache-control': 'no-store' };
  routes.onError((thrown, c) => replyOipError(c, thrown, tail.log));

  routes.get('/v2', (c) => c.json(serverMetadata, 200, fresh));
  routes.get('/v2/', (c) => c.json(serverMetadata, 200, fresh));
  routes.get('/v2/health/live', (c) => c.json({ live: true }, 200, fresh));
  routes.get('/v2/health/ready', (c) => c.json({ ready: !tail.stopping }, tail.stopping ? 503 : 200, fresh));

  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version'] as const) {
    const target = (c: TailHandlerContext) =>
      findTarget(tail, c.req.param('model') ?? '', c.req.param('version'), c.get('subject') ?? '');
    routes.get(path, (c) => c.json(metadataOf(tail, target(c)), 200, fresh));
    routes.get(`${path}/ready`, (c) => {
      const { name } = target(c);
      return c.json({ name, ready: !tail.stopping }, tail.stopping ? 503 : 200, fresh);
    });
    routes.post(`${path}/infer`, (c) => infer(tail, c, target(c)));
    for (const [tailPath, allow] of [
      ['', 'GET, HEAD'],
      ['/ready', 'GET, HEAD'],
      ['/infer', 'POST'],
    ] as const)
      routes.all(`${path}${tailPath}`, (c) => wrongMethod(c, allow, tail));
  }
  for (const path of ['/v2', '/v2/', '/v2/health/live', '/v2/health/ready'])
    routes.all(path, (c) => wrongMethod(c, 'GET, HEAD', tail));
  routes.all('/v2/*', () => {
    throw new IsthmusError(
      'NOT_FOUND',
      'There is nothing at this address. It has /v2/health/live, /v2/health/ready, /v2/models/NAME, …/ready and …/infer.',
    );
  });
  return routes;
}

async function infer(tail: TailContext, c: TailHandlerContext, target: Target): Promise<Response> {
  refuseWhenStopping(tail);
  tail.threads.refuseWhenFull();
  const asked = askedHeaders(c);
  const limit = tail.limits.frameBytes;
  const sent = await readBody(c.req.raw, limit, tail.bodies, c.env?.incoming);
  let held = sent.byteLength;
  c.set('bytesIn', held);
  const hold = (bytes: number) => {
    tail.bodies.take(bytes);
    held += bytes;
  };
  try {
    const body = await unpacked(sent, c.req.header('content-encoding'), limit, hold);
    const jsonBytes = jsonLength(c.req.header(LENGTH_HEADER), body.length);
    // Tensors behind the JSON are copied where their offset does not suit their type.
    hold(body.length - jsonBytes + jsonBytes * JSON_GROWTH);
    const request = readRestRequest(body, jsonBytes, target);
    const { inputs, outputs, parameters } = request;
    const answer = await inferOip(tail, { target, inputs, outputs }, withParameters(asked, parameters));
    return await restReply(target, request, answer, c.req.header('accept-encoding'));
  } finally {
    tail.bodies.give(held);
  }
}

/** @param hold takes bytes from the budget before they are allocated */
async function unpacked(
  sent: Uint8Array<ArrayBuffer>,
  encoding: string | undefined,
  limit: number,
  hold: (bytes: number) => void,
): Promise<Uint8Array> {
  const name = (encoding ?? 'identity').trim().toLowerCase();
  if (name === 'identity' || name === '') return sent;
  if (name !== 'gzip' && name !== 'x-gzip' && name !== 'deflate') {
    throw new IsthmusError(
      'REQUEST_INVALID',
      `The content encoding '${name.slice(0, 32)}' is not read here. Send gzip, deflate or none.`,
    );
  }
  hold(limit);
  // RFC 9110 means zlib by `deflate`, but some clients send the bare stream; the first byte tells them apart.
  const bare = name === 'deflate' && ((sent[0] ?? 0) & 0x0f) !== 8;
  try {
    const { buffer, byteOffset, length } = await (bare ? inflateBare : inflateAny)(sent, {
      maxOutputLength: limit,
    });
    return new Uint8Array(buffer, byteOffset, length); // a Buffer's slice() would be no copy
  } catch (cause) {
    const large = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    throw new IsthmusError(
      large ? 'TOO_LARGE' : 'REQUEST_INVALID',
      large
        ? `The body unpacks to more than the ${limit} bytes this tail accepts. Send less.`
        : `The body is no valid ${name} stream. Send it whole.`,
      { cause },
    );
  }
}

type Inflate = (bytes: Uint8Array, options: ZlibOptions) => Promise<Buffer>;
const inflateAny: Inflate = promisify<Uint8Array, ZlibOptions, Buffer>(unzip);
const inflateBare: Inflate = promisify<Uint8Array, ZlibOptions, Buffer>(inflateRaw);

function wrongMethod(c: TailHandlerContext, allow: string, tail: TailContext): Response {
  const error = new IsthmusError('REQUEST_INVALID', `This address answers ${allow} only.`);
  return replyOipError(c, error, tail.log, { status: 405, headers: { allow } });
}
