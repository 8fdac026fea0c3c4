// Real tails for tests, on free loopback ports, with one thread and no log, what they count, and a certificate for
// them. Not part of the package.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTailServer, type TailServer, type TailServerOptions } from './index.ts';
import { type DevCertificate, ensureDevCertificate } from './listen/devCertificate.ts';

export interface TestTails {
  start(options?: Partial<TailServerOptions>): Promise<TailServer>;
  /** Ends all that were started: for `afterEach`, or `afterAll` where one serves the whole file. */
  end(): Promise<void>;
}

/** @param usual options of all of them, before those of each. @param graceMs what requests under way get at the end */
export function testTails(
  usual: Pick<TailServerOptions, 'models'> & Partial<TailServerOptions>,
  graceMs = 100,
): TestTails {
  const tails: TailServer[] = [];
  return {
    async start(options) {
      const tail = await createTailServer({ port: 0, logger: false, threads: 1, ...usual, ...options });
      tails.push(tail);
      return tail;
    },
    async end() {
      await Promise.all(tails.splice(0).map((tail) => tail.close({ graceMs })));
    },
  };
}

/** A certificate for the names of this machine. */
export const testCertificate = async (): Promise<DevCertificate> =>
  ensureDevCertificate(await mkdtemp(join(tmpdir(), 'isthmus-cert-')));

/** A figure at /metrics, by its name and labels as they stand there without `isthmus_`. @throws Error where it is not told */
export async function figure({ app }: TailServer, line: string): Promise<number> {
  const text = await (await app.request('/metrics')).text();
  const found = text.split('\n').find((each) => each.startsWith(`isthmus_${line} `));
  if (found === undefined) throw new Error(`no isthmus_${line} in:\n${text}`);
  return Number(found.split(' ').at(-1));
}
