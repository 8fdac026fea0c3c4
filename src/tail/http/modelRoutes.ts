// GET /models and GET /models/:name/manifest.json: what there is, and the contract of one model.
import { Hono } from 'hono';
import { IsthmusError } from '../../errors.ts';
import type { TailContext, TailEnv } from '../context.ts';
import type { ServedModel } from '../models/registry.ts';

export function modelRoutes(tail: TailContext): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();

  routes.get('/models', (c) => {
    const models = [...tail.registry.models.values()].map(({ manifest, bytes }) => ({
      name: manifest.name,
      id: manifest.id,
      bytes,
      cuts: manifest.cuts.map((cut) => cut.name),
    }));
    return c.json({ models }, 200, { 'cache-control': 'no-cache' });
  });

  // no-cache: caches may keep it but must ask each time, so a client never pairs an old manifest with a new model.
  routes.get('/models/:name/manifest.json', (c) => {
    const { manifestText, etag } = findModel(tail, c.req.param('name'));
    const headers = { etag, 'cache-control': 'no-cache', 'content-type': 'application/json' };
    if (matches(c.req.header('if-none-match'), etag)) return c.body(null, 304, headers);
    return c.body(manifestText, 200, headers);
  });

  return routes;
}

/** @throws IsthmusError MODEL_NOT_FOUND with the names there are. */
export function findModel({ registry }: TailContext, name: string): ServedModel {
  const model = registry.models.get(name);
  if (model) return model;
  const names = [...registry.models.keys()].join(', ');
  throw new IsthmusError(
    'MODEL_NOT_FOUND',
    `This tail has no model '${name.slice(0, 64)}'. It has: ${names}.`,
  );
}

/** If-None-Match, RFC 9110, 13.1.2: a list of tags, or *; weak tags compare like strong ones. */
export function matches(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((tag) => {
    const plain = tag.trim().replace(/^W\//, '');
    return plain === etag || plain === '*';
  });
}
