// `isthmus serve` as a process of its own for tests, as an operator runs it; whatever a test leaves behind is ended.
import { type ChildProcess, spawn } from 'node:child_process';

export interface ServeProcess {
  child: ChildProcess;
  url: string;
  /** What it has printed on stdout, and on stderr. */
  text(): string;
  errors(): string;
}

const running = new Set<ChildProcess>();

/** Starts it and waits for the line with its address. */
export async function startServe(args: string[], env: Record<string, string> = {}): Promise<ServeProcess> {
  const child = spawn(process.execPath, ['src/cli/main.ts', 'serve', ...args], {
    cwd: new URL('../..', import.meta.url),
    env: { ...process.env, ...env },
  });
  running.add(child);
  let text = '';
  let errors = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const address = /^listening on (http:\/\/127\.0\.0\.1:\d+)$/m;
  for (let i = 0; i < 900 && !address.test(text); i++) {
    if (child.exitCode !== null) throw new Error(errors);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { child, url: address.exec(text)![1]!, text: () => text, errors: () => errors };
}

/** For `afterEach`. */
export function endServes(): void {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
}
