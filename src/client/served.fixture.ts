// What most tests of the client begin with: the tiny model at a real tail, a photo, and a link to the tail that a test can
// harm. Tails and links end with the test file, whose folder and cache are its own (src/testFolder.fixture.ts).
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { type TcpProxy, tcpProxy } from '../../e2e/faults/tcpProxy.ts';
import type { TailServer, TailServerOptions } from '../tail/index.ts';
import { type TestTails, testTails } from '../tail/testTails.fixture.ts';
import { drawnPicture, type TinyModel, tinyModel } from './tinyModel.fixture.ts';

export interface ServedTiny {
  model: TinyModel;
  tail: TailServer;
  /** Another tail for the same folder. */
  startTail: TestTails['start'];
  /** Address of the model. */
  address: string;
  photo: Uint8Array;
}

/** At the top of a test file. */
export async function servedTiny(options: Partial<TailServerOptions> = {}): Promise<ServedTiny> {
  const model = await tinyModel();
  const { tail, startTail } = await served(model.folder, options);
  return { model, tail, startTail, address: `${tail.url}/models/tiny`, photo: await drawnPicture() };
}

/** A tail for another folder of models, at the top of a test file. */
export async function served(
  models: string,
  options: Partial<TailServerOptions> = {},
): Promise<Pick<ServedTiny, 'tail' | 'startTail'>> {
  const tails = testTails({ models, ...options }, 500);
  afterAll(tails.end);
  return { tail: await tails.start(), startTail: tails.start };
}

/** A link to the tail for the whole test file, and the model's address there. */
export async function linkTo(
  { port }: TailServer,
  name = 'tiny',
): Promise<{ proxy: TcpProxy; address: string }> {
  const proxy = await tcpProxy(port);
  afterAll(() => proxy[Symbol.asyncDispose]());
  return { proxy, address: `http://127.0.0.1:${proxy.port}/models/${name}` };
}

/** Where the file's cache lies. */
export const cacheFolder = (): string => process.env.ISTHMUS_CACHE!;

/** An empty cache, or none (''), until it is disposed of. */
export async function otherCache(folder?: ''): Promise<{ folder: string } & Disposable> {
  const usual = cacheFolder();
  const other = folder ?? (await mkdtemp(join(tmpdir(), 'isthmus-cache-')));
  process.env.ISTHMUS_CACHE = other;
  return {
    folder: other,
    [Symbol.dispose]() {
      process.env.ISTHMUS_CACHE = usual;
    },
  };
}
