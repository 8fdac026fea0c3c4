// `isthmus serve` as a process of its own, for the tests of this folder. Not part of the published package.
import { type ChildProcess, spawn } from 'node:child_process';

/** The command alone: the other subcommands would only slow the start down. */
const PROGRAM = `
  import { Command } from 'commander';
  import { registerServe } from './src/cli/serve.ts';
  const program = new Command('isthmus');
  registerServe(program);
  await program.parseAsync(process.argv.slice(1), { from: 'user' });
`;

/** What it prints goes to `stdout`, errors to the console of the test. */
export function serveProcess(...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, '--', 'serve', ...args], {
    cwd: new URL('../../..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** The address it prints, once it listens. @throws Error when it ends before */
export async function addressOf(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  for (let i = 0; i < 1200; i++) {
    const url = /^listening on (\S+)$/m.exec(text)?.[1];
    if (url) return url;
    if (child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`isthmus serve did not start: ${text}`);
}
