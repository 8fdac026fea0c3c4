// GET /models and GET /models/:name/manifest.json: what there is, and the contract of one model.
import { Hono } from 'hono';
import { IsthmusError } from '../../errors.ts';
import { taskNames } from '../../model/manifest.ts';
import type { TailContext, TailEnv, TailHandlerContext } from '../context.ts';
import { defaultVersion, type ServedModel, versionByTag } from '../models/registry.ts';
import { subjectModels } from '../operate/gate.ts';

export function modelRoutes(tail: TailContext): Hono<TailEnv> {
  const routes = new Hono<TailEnv>();

  routes.get('/models', (c) => {
    const { models, versions } = tail.registry;
    const allowed = subjectModels(c.get('subject') ?? '');
    const usable = [...models.values()].filter((m) => !allowed || allowed.includes(m.manifest.name));
    const list = usable.map((model) => ({
      ...entry(model),
      versions: versions.get(model.manifest.name)!.map((version) => ({
        version: version.version,
        tag: version.tag,
        id: version.manifest.id,
        ...(version.retired && { retired: true }),
      })),
    }));
    return c.json({ models: list }, 200, { 'cache-control': 'no-cache' });
  });

  // no-cache: caches may keep it but must ask each time, so a client never pairs an old manifest with a new model.
  routes.get('/models/:name/manifest.json', (c) => manifest(c, findModel(tail, c.req.param('name'))));

  routes.get('/models/:name/versions/:tag/manifest.json', (c) => {
    const { name, tag } = c.req.param();
    const model = versionByTag(tail.registry, tag, findAny(tail, name).manifest.name);
    if (model) return manifest(c, model);
    throw new IsthmusError(
      'MODEL_NOT_FOUND',
      `The model '${name}' has no version ${tag.slice(0, 64)} here. GET /models lists the versions.`,
    );
  });

  return routes;
}

/** What the list says of a model and of each of its versions. */
function entry({ manifest, bytes }: ServedModel) {
  return {
    name: manifest.name,
    id: manifest.id,
    bytes,
    cuts: manifest.cuts.map((cut) => cut.name),
    tasks: taskNames(manifest),
  };
}

function manifest(c: TailHandlerContext, { manifestText, etag }: ServedModel): Response {
  const headers = { etag, 'cache-control': 'no-cache', 'content-type': 'application/json' };
  if (matches(c.req.header('if-none-match'), etag)) return c.body(null, 304, headers);
  return c.body(manifestText, 200, headers);
}

/** @throws IsthmusError MODEL_NOT_FOUND, with the names there are where nobody needs a token. */
export function findModel({ registry, gate }: TailContext, name: string): ServedModel {
  return defaultVersion(registry, name, !gate.closed);
}

/**
 * A model to answer requests with: the default version, or the last one that was removed, while it is still answered.
 * @throws IsthmusError MODEL_NOT_FOUND
 */
export function findAny(tail: TailContext, name: string): ServedModel {
  return tail.registry.versions.get(name)?.[0] ?? findModel(tail, name);
}

/** If-None-Match, RFC 9110, 13.1.2: a list of tags, or *; weak tags compare like strong ones. */
export function matches(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((tag) => {
    const plain = tag.trim().replace(/^W\//, '');
    return plain === etag || plain === '*';
  });
}
