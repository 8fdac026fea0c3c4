// connect(): from an address to a session. Fetches the manifest, starts the platform's runtime, loads what the mode
// needs, and closes again what it opened when anything fails on the way.
import { IsthmusError } from '../errors.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import type { Manifest } from '../model/manifest.ts';
import { makeTransport } from '../transport/makeTransport.ts';
import type { Transport } from '../transport/transport.ts';
import { type Caution, createCaution, isShortOfMemory } from './caution.ts';
import { choose } from './choose.ts';
import { raiseFlag } from './crashFlag.ts';
import { fetchManifest, resolveEndpoint } from './endpoint.ts';
import { checkExits, mayExit } from './exits.ts';
import { type Edition, followModel } from './follow.ts';
import { createLoader, type Loader } from './loader.ts';
import { type KeptThings, remember } from './memory.ts';
import { type Absence, lookup, maySurvive, searchTail } from './offline.ts';
import { defaultCut, mayFallBack, plansOf } from './plan.ts';
import type { Platform } from './platform.ts';
import { openScope } from './scope.ts';
import { createSession } from './session.ts';
import type { ConnectOptions, Session } from './types.ts';

/** @internal `connect` of src/index.ts and src/index.node.ts, with their platform. */
export async function connectOn(
  platform: Platform,
  address: string,
  options: ConnectOptions = {},
): Promise<Session> {
  const { token, onProgress, signal } = options;
  checkOptions(options);
  let caution: Caution | undefined;
  const scope = openScope([signal]);
  let runtime: HeadRuntime | undefined;
  let transport: Transport | undefined;
  const kept = options.offline === false ? undefined : platform.kept?.();
  const isHere = (manifest: Manifest) => holdsAll(platform, manifest);
  const model = lookup(maySurvive(options.mode) ? kept : undefined, String(address), isHere);
  try {
    scope.signal.throwIfAborted();
    onProgress?.({ stage: 'manifest', loaded: 0, total: 0 });
    const access = { token, signal: scope.signal };
    const endpoint = await scope.race(
      model.orKnown(resolveEndpoint(String(address), access), (known) => known.endpoint),
    );
    const { datagrams, webTransport } = options;
    transport = makeTransport(options.transport ?? 'auto', {
      ...{ base: endpoint.base, model: endpoint.model, token },
      ...(datagrams && { datagrams }),
      ...(webTransport && { webTransport }),
    });
    // Beside the manifest and the downloads; a session that stays at home opens nothing.
    const warm = plansOf(options.mode ?? 'prefer-split')[0] === 'local' ? undefined : transport.warm?.();
    warm?.catch(() => undefined);
    const manifest = await scope.race(
      model.orKnown(fetchManifest(endpoint, access), (known) => known.manifest),
    );
    const { away } = model;
    const ask = (signal: AbortSignal) => fetchManifest(endpoint, { token, signal });
    if (kept && !away) remember(kept, String(address), { endpoint, manifest });
    const full = segmentsNeeded(manifest, options);
    caution = await cautionOf(platform, String(address), options, full);
    const need = Math.min(full, caution?.allows(manifest, options).last ?? full);
    const careful = caution?.options(options) ?? options;
    runtime = options.runtime ?? (await startOn(platform, careful, scope));
    const times = platform.kept?.();
    const parts = { transport, artifacts: endpoint.artifacts, options: careful, times, caution };
    const loader = loaderOf(manifest, runtime, parts, onProgress);
    let absence: Absence | undefined;
    if (away) {
      await scope.race(whole(loader, manifest, away));
      absence = searchTail({ ask, manifest, away });
    } else {
      await scope.race(preload(loader, need, manifest, options));
      // What can answer without its tail starts without its link, as with `auto`: a run that meets none says so.
      if (warm && !maySurvive(options.mode)) await scope.race(warm);
    }
    const first = editionOf(manifest, runtime, loader, parts, absence);
    // A host's own runtime is one: nothing else can be made ready beside it.
    if (options.runtime) return first.session;
    return followModel({
      ...{ first, ask },
      ...(options.onModelChange && { onModelChange: options.onModelChange }),
      async open(manifest, before, signal) {
        const next = await openNext(platform, manifest, before, parts, signal);
        if (kept) remember(kept, String(address), { endpoint, manifest });
        return next;
      },
    });
  } catch (thrown) {
    transport?.close().catch(() => undefined);
    if (!options.runtime) runtime?.close().catch(() => undefined); // not awaited: a dead worker may never answer
    caution?.end();
    throw thrown;
  } finally {
    scope.end();
  }
}

/** What every version of a model shares. */
interface Shared {
  transport: Transport;
  artifacts: string;
  options: ConnectOptions;
  times: KeptThings | undefined;
  caution: Caution | undefined;
}

/** Nothing that loads nothing, and no host's own runtime, needs any. */
async function cautionOf(platform: Platform, address: string, options: ConnectOptions, need: number) {
  if (options.runtime || options.careful === 'off' || need < 0) return undefined;
  return createCaution(await raiseFlag(address, platform.kept?.()), isShortOfMemory());
}

const loaderOf = (
  manifest: Manifest,
  runtime: HeadRuntime,
  { artifacts, options }: Shared,
  onProgress?: ConnectOptions['onProgress'],
) =>
  createLoader({
    ...{ runtime, manifest, artifacts, token: options.token, onProgress },
    exits: mayExit(manifest, options),
  });

function editionOf(
  manifest: Manifest,
  runtime: HeadRuntime,
  loader: Loader,
  { transport, options, times, caution }: Shared,
  absence?: Absence,
): Edition {
  const session = createSession({
    ...{ manifest, runtime, transport, loader, defaults: options },
    ...(absence && { absence }),
    ...(times && { kept: times }),
    ...(caution && { caution }),
  });
  if (options.standby) loader.upTo(manifest.segments.length - 1, 'quietly').catch(() => undefined);
  return {
    session,
    get last() {
      return loader.last;
    },
    async release() {
      absence?.end();
      await runtime.close();
    },
  };
}

/** Another version of the model, with as much of it on this device as there was of the one before. */
async function openNext(
  platform: Platform,
  manifest: Manifest,
  before: Edition,
  parts: Shared,
  signal: AbortSignal,
): Promise<Edition> {
  const { options } = parts;
  const full = segmentsNeeded(manifest, options);
  const need = Math.min(full, parts.caution?.allows(manifest, options).last ?? full);
  const end = manifest.segments.length - 1;
  const all = before.last === before.session.manifest.segments.length - 1;
  const scope = openScope([signal]);
  let runtime: HeadRuntime | undefined;
  try {
    runtime = await startOn(platform, options, scope);
    const loader = loaderOf(manifest, runtime, parts);
    const load =
      before.last < 0
        ? preload(loader, need, manifest, options)
        : loader.upTo(all ? end : Math.max(need, Math.min(before.last, end)));
    await scope.race(load);
    return editionOf(manifest, runtime, loader, parts);
  } catch (thrown) {
    runtime?.close().catch(() => undefined);
    throw thrown;
  } finally {
    scope.end();
  }
}

/** What does not depend on the model. @throws OPTION_INVALID */
function checkOptions({ transport = 'auto', datagrams = 'auto', upload = {}, exits }: ConnectOptions): void {
  const wrong = (what: string) => new IsthmusError('OPTION_INVALID', what);
  if (!['auto', 'webtransport', 'websocket', 'fetch'].includes(transport))
    throw wrong(`There is no transport '${transport}'; there are auto, webtransport, websocket and fetch.`);
  if (!['auto', 'never', 'always'].includes(datagrams))
    throw wrong(`datagrams is auto, never or always, not '${datagrams}'.`);
  const { format = 'jpeg', quality = 1 } = upload;
  if (format !== 'jpeg' && format !== 'webp') throw wrong(`upload.format is jpeg or webp, not '${format}'.`);
  if (!(quality >= 0 && quality <= 1))
    throw wrong(`upload.quality lies in 0…1, as for a canvas, not ${quality}.`);
  checkExits(exits);
}

/** A start that was given up still ends some time; what it made must not stay. */
async function startOn(platform: Platform, options: ConnectOptions, scope: ReturnType<typeof openScope>) {
  const starting = platform.start(options);
  try {
    return await scope.race(starting);
  } catch (thrown) {
    starting.then((late) => late.close()).catch(() => undefined);
    throw thrown;
  }
}

/** Last segment that the mode's first plan runs here. @throws for options that are wrong for this model. */
function segmentsNeeded(manifest: Manifest, options: ConnectOptions): number {
  const { plans, cut } = choose(manifest, options);
  if (plans[0] === 'remote') return -1;
  if (plans[0] === 'local') return manifest.segments.length - 1;
  if (cut === undefined && manifest.cuts.length === 0 && plans.length > 1) return -1;
  return cut ?? defaultCut(manifest);
}

/** Looked at, not loaded: a tail that is only slow may still answer meanwhile. */
async function holdsAll({ holds }: Platform, { segments }: Manifest): Promise<boolean> {
  for (const { sha256 } of segments) if (!(await holds?.(sha256))) return false;
  return true;
}

/** Without a tail a session is worth starting only when everything is on this device. @throws `away` */
async function whole(loader: Loader, manifest: Manifest, away: IsthmusError): Promise<void> {
  await loader.keptUpTo(manifest.segments.length - 1).catch(() => {
    throw away;
  });
}

/** With `prefer-*` a device that cannot load the model is no reason to fail: runs will take another way and say so. */
async function preload(
  loader: Loader,
  last: number,
  manifest: Manifest,
  options: ConnectOptions,
): Promise<void> {
  try {
    await loader.upTo(last);
  } catch (thrown) {
    const [plan, ...others] = choose(manifest, options).plans;
    const another =
      thrown instanceof IsthmusError &&
      others.some((next) => mayFallBack({ plan, side: 'device', error: thrown }, next));
    if (!another) throw thrown;
  }
}
