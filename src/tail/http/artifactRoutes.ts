// GET /artifacts/:sha256: segments by content, streamed from disk, and codec profiles. A hash never changes its bytes, so
// caches may keep them for ever, and an interrupted download goes on with Range. Only hashes that a loaded manifest names exist here.
import { Hono } from 'hono';
import { IsthmusError } from '../../errors.ts';
import type { TailContext, TailEnv } from '../context.ts';
import { holdFile } from '../models/servedModel.ts';
import { replyError } from './errorReply.ts';
import { filePart } from './filePart.ts';
import { matches } from './modelRoutes.ts';
import { parseRange } from './range.ts';

export function artifactRoutes(tail: TailContext): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();

  routes.get('/artifacts/:sha256', async (c) => {
    const sha256 = c.req.param('sha256');
    const artifact = tail.registry.artifacts.get(sha256);
    if (!artifact) {
      throw new IsthmusError(
        'NOT_FOUND',
        'No model of this tail has a segment with that sha256. Fetch the manifest anew.',
      );
    }
    const etag = `"${sha256}"`;
    const { bytes } = artifact;
    const lasting = { etag, 'cache-control': 'public, max-age=31536000, immutable, no-transform' };
    // Before the range: one who has the content needs no part of it (RFC 9110, 13.2.2).
    if (matches(c.req.header('if-none-match'), etag)) return c.body(null, 304, lasting);
    const isHead = c.req.method === 'HEAD';
    // If-Range with another tag means: the part that the client has is of something else, so send everything.
    const ifRange = c.req.header('if-range');
    const ignored = isHead || (ifRange && ifRange !== etag); // ranges are defined for GET only
    const range = ignored ? 'whole' : parseRange(c.req.header('range'), bytes);
    if (range === 'unsatisfiable') {
      const error = new IsthmusError(
        'REQUEST_INVALID',
        `The range lies behind the segment's ${bytes} bytes. Download it from its start.`,
      );
      return replyError(c, error, tail.log, {
        status: 416,
        headers: { 'content-range': `bytes */${bytes}` },
      });
    }
    const { start, end } = range === 'whole' ? { start: 0, end: bytes - 1 } : range;
    const headers: Record<string, string> = {
      ...lasting,
      'accept-ranges': 'bytes',
      'content-type': 'application/octet-stream',
      'content-length': String(end - start + 1),
    };
    if (range !== 'whole') headers['content-range'] = `bytes ${start}-${end}/${bytes}`;
    const status = range === 'whole' ? 200 : 206;
    if (isHead) return c.body(null, status, headers);
    const { source } = artifact;
    if (typeof source !== 'string') return c.body(source.slice(start, end + 1), status, headers);
    return c.body(filePart(artifact.fd!, start, end, holdFile(artifact)), status, headers);
  });

  return routes;
}
