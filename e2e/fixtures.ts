// What the specs share: one real tail (the built CLI in its own process) per worker, pictures, and the decoded frames
// that a page sends.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test as base, type Page } from '@playwright/test';
import { type Labelled, loadDataset } from '../bench/datasets.ts';
import { assembleFleet, type Served } from '../bench/fleet.ts';
import type { connect } from '../src/index.ts';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const wanted = process.env.ISTHMUS_DATA ?? join(root, '..', 'shared', 'data');

/** Folder with real photos and models, or undefined where it is absent. */
export const data = existsSync(wanted) ? wanted : undefined;
if (!data) console.warn('No data folder: e2e runs on the embedded model and drawn pictures only.');

export interface Tail {
  url: string;
  folder: string;
  models: Served[];
  process: ChildProcess;
}

/** Starts `isthmus serve` as a user would and waits for the line with its address. */
export function startTail(
  folder: string,
  extra: readonly string[] = [],
): Promise<{ url: string; process: ChildProcess }> {
  const child = spawn(
    process.execPath,
    [
      join(root, 'dist/cli.js'),
      'serve',
      folder,
      '--port',
      '0',
      '--app',
      join(root, 'dist-app'),
      '--quiet',
      ...extra,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  return new Promise((resolve, reject) => {
    let said = '';
    const take = (chunk: Buffer) => {
      said += chunk;
      const url = /listening on (https?:\/\/\S+)/.exec(said)?.[1];
      if (url) resolve({ url, process: child });
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('exit', (code) => reject(new Error(`isthmus serve ended with ${code}: ${said}`)));
  });
}

/** Ends a tail as an operator would and resolves with its exit code. */
export function stopTail(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => {
    child.removeAllListeners('exit');
    child.on('exit', (code) => resolve(code));
    child.kill('SIGTERM');
  });
}

/**
 * A tail for the embedded model and those of `from`, until it is disposed of.
 *
 * @param extra arguments of `isthmus serve`
 * @param add puts more models into the folder
 */
export async function fleetTail(
  from: string | undefined,
  extra: readonly string[] = [],
  add?: (folder: string) => Promise<void>,
): Promise<Tail & AsyncDisposable> {
  const { folder, models, [Symbol.asyncDispose]: remove } = await assembleFleet(from);
  await add?.(folder);
  const { url, process: child } = await startTail(folder, extra);
  const end = () => stopTail(child).then(remove);
  return { url, folder, models, process: child, [Symbol.asyncDispose]: end };
}

/** `pages`: address of the app's page on a server of its own, so that it is there when its tail is not. */
export const test = base.extend<object, { tail: Tail; pages: string }>({
  tail: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from this pattern
    async ({}, use) => {
      await using tail = await fleetTail(data);
      await use(tail);
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  pages: [
    // biome-ignore lint/correctness/noEmptyPattern: as above
    async ({}, use) => {
      await using pages = await webPages();
      await use(pages.url);
    },
    { scope: 'worker' },
  ],
});

/** What a page has of the client, and the session that a spec left there. */
export interface Globals {
  isthmus: { connect: typeof connect };
  session: Awaited<ReturnType<typeof connect>>;
}

/** Goes to the app's page and waits for the client. */
export async function openPage(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.waitForFunction(() => 'isthmus' in globalThis);
}

/** Real photos where the data folder is present, this repository's drawn pictures otherwise. */
export async function pictures(
  dataset: 'imagenette' | 'imagenet',
  limit: number,
): Promise<(Labelled & { bytes: Buffer })[]> {
  const list = await loadDataset(dataset, data, limit);
  return Promise.all(list.map(async (picture) => ({ ...picture, bytes: await readFile(picture.path) })));
}

/**
 * A web server that knows nothing of Isthmus and answers every address with the app's files or its index page: what a
 * host behind a single-page-app fallback does.
 */
export async function webPages(): Promise<{ url: string } & AsyncDisposable> {
  const app = join(root, 'dist-app');
  const server = createServer(async (request, response) => {
    const path = join(app, new URL(request.url ?? '/', 'http://host').pathname);
    const file = await readFile(path).catch(() => undefined);
    const types: Record<string, string> = {
      js: 'text/javascript',
      css: 'text/css',
      wasm: 'application/wasm',
    };
    response.setHeader('content-type', (file && types[path.split('.').at(-1)!]) ?? 'text/html');
    response.end(file ?? (await readFile(join(app, 'index.html'))));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
