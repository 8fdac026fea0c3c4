// haproxy for the test of deploy/haproxy.cfg: found on the PATH, or Debian's package where this process may install one.
// Not part of the published package.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';

function onPath(): string | undefined {
  // Debian puts it where only root's PATH leads.
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  return folders.map((dir) => join(dir, 'haproxy')).find((file) => existsSync(file));
}

/** Its path, or undefined where there is none and none can be installed. */
export function ensureHaproxy(): string | undefined {
  const found = onPath();
  if (found || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return found;
  try {
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'haproxy'], {
      stdio: 'ignore',
      timeout: 120_000,
    });
  } catch {
    return undefined;
  }
  return onPath();
}

/** What `haproxy -c` says of a configuration. */
export function checkHaproxy(
  haproxy: string,
  config: string,
  env: Record<string, string>,
): { code: number; text: string } {
  const { status, stdout, stderr } = spawnSync(haproxy, ['-c', '-f', config], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  return { code: status ?? 1, text: stdout + stderr };
}

/** In the foreground, so that it ends with its process id. */
export function startHaproxy(haproxy: string, config: string, env: Record<string, string>): ChildProcess {
  return spawn(haproxy, ['-db', '-q', '-f', config], { env: { ...process.env, ...env }, stdio: 'ignore' });
}

/** Ports that were free a moment ago; haproxy cannot choose its own. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((s) => new Promise<void>((resolve) => s.listen(0, '127.0.0.1', resolve))));
  const ports = servers.map((s) => (s.address() as { port: number }).port);
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
  return ports;
}
