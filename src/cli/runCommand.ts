// The `isthmus` command: one subcommand per file of this folder. Errors become one line and exit code 1, here only. Started by
// main.ts, once it is known that this Node can read it.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { IsthmusError } from '../errors.ts';
import { registerBench } from './bench.ts';
import { registerCalibrate } from './calibrate.ts';
import { registerDevCert } from './devCert.ts';
import { registerExits } from './exits.ts';
import { registerInspect } from './inspect.ts';
import { registerRun } from './run.ts';
import { registerServe } from './serve.ts';
import { registerSplit } from './split.ts';
import { registerTasks } from './tasks.ts';

// package.json sits two levels above the source and one above the bundle.
const packageFile = import.meta.url.endsWith('.ts') ? '../../package.json' : '../package.json';
const { version } = JSON.parse(readFileSync(new URL(packageFile, import.meta.url), 'utf8')) as {
  version: string;
};

/** Runs what the command line says, and sets the exit code. */
export async function runCommand(): Promise<void> {
  const program = new Command('isthmus')
    .description('Split computing: the first layers of a network in the browser, the rest on your server.')
    .version(version)
    // commander ends with 1 on wrong usage; its sentence gets the form of all the others.
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'isthmus: OPTION_INVALID: ')),
    })
    .showHelpAfterError('(isthmus COMMAND --help shows the options)');

  registerSplit(program);
  registerServe(program);
  registerDevCert(program);
  registerRun(program);
  registerInspect(program);
  registerCalibrate(program);
  registerTasks(program);
  registerExits(program);
  registerBench(program);

  try {
    await program.parseAsync();
  } catch (thrown) {
    const error = IsthmusError.from(thrown, 'INTERNAL', 'Isthmus met a defect of its own; please report it');
    process.stderr.write(`isthmus: ${error.code}: ${error.message}\n`);
    if (process.env.ISTHMUS_DEBUG && error.stack) process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  }
}
