// The server under soak: `isthmus serve` in a process of its own, what it says of itself, and its death. Real sockets.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const EMBEDDED = join(root, 'models', 'neck10');

export interface Served extends AsyncDisposable {
  readonly port: number;
  readonly process: ChildProcess;
  /** Everything on stderr: the log, and whatever Node says of an unhandled rejection. */
  readonly log: () => string;
  /** Resident memory in bytes and open files, as the kernel counts them. */
  usage(): { rss: number; files: number };
  /** SIGTERM. @returns exit code and milliseconds until then */
  stop(): Promise<{ code: number | null; ms: number }>;
}

/** @param options more for the command line, after `serve DIR --port 0` */
export async function serve(dir = EMBEDDED, options: readonly string[] = []): Promise<Served> {
  const child = spawn(
    process.execPath,
    [join(root, 'src/cli/main.ts'), 'serve', dir, '--port', '0', '--quiet', ...options],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (chunk) => {
    log = (log + chunk).slice(-1_000_000);
  });
  const port = await new Promise<number>((resolve, reject) => {
    let said = '';
    child.stdout.on('data', (chunk) => {
      said += chunk;
      const found = /listening on https?:\/\/[^:]+:(\d+)/.exec(said)?.[1];
      if (found) resolve(Number(found));
    });
    child.on('exit', (code) => reject(new Error(`isthmus serve ended with ${code}: ${log}`)));
  });
  const gone = new Promise<number | null>((resolve) => child.on('exit', resolve));
  async function stop() {
    const began = performance.now();
    if (child.exitCode === null) child.kill('SIGTERM');
    return { code: await gone, ms: performance.now() - began };
  }
  return {
    port,
    process: child,
    log: () => log,
    usage: () => usageOf(child.pid!),
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

function usageOf(pid: number): { rss: number; files: number } {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { rss: Number(kib) * 1024, files: readdirSync(`/proc/${pid}/fd`).length };
}

/** Waits until the open files are back at `baseline`, at most `ms`. @returns how many are open then */
export async function filesBack(server: Served, baseline: number, ms = 15_000): Promise<number> {
  const end = performance.now() + ms;
  for (;;) {
    const { files } = server.usage();
    if (files <= baseline || performance.now() > end) return files;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export const manifestOf = async (dir = EMBEDDED) =>
  JSON.parse(
    await readFile(join(dir, 'manifest.json'), 'utf8'),
  ) as import('../../src/model/manifest.ts').Manifest;
