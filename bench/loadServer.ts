// The server of the load benchmark, in a process of its own: a real tail, and what it costs.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTailServer, type TailServer } from '../src/tail/index.ts';
import { ensureDevCertificate } from '../src/tail/listen/devCertificate.ts';
import { playRole } from './loadRoles.ts';

export interface ServerQuestion {
  models: string;
  threads: number;
  /** WebTransport needs a certificate; the others are measured without. */
  secure: boolean;
}

export interface ServerAnswer {
  url: string;
  webTransport: TailServer['webTransport'];
}

export interface Usage {
  /** Seconds of processor time since the start, all threads. */
  cpu: number;
  /** MiB. */
  rss: number;
}

export async function playServer(): Promise<void> {
  let server: TailServer | undefined;
  let folder: string | undefined;
  await playRole(
    {
      async start({ models, threads, secure }: ServerQuestion): Promise<ServerAnswer> {
        folder = secure ? await mkdtemp(join(tmpdir(), 'isthmus-load-')) : undefined;
        const tls = folder === undefined ? undefined : await ensureDevCertificate(folder);
        server = await createTailServer({ models, threads, port: 0, logger: false, ...(tls && { tls }) });
        return { url: server.url, webTransport: server.webTransport };
      },
      async usage(): Promise<Usage> {
        const { user, system } = process.cpuUsage();
        return { cpu: (user + system) / 1e6, rss: process.memoryUsage.rss() / 2 ** 20 };
      },
    },
    async () => {
      await server?.close({ graceMs: 1000 });
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    },
  );
}
