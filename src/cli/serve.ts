// `isthmus serve`: starts a tail, says where it is and what it has, and stops it in order when the process is told to.
import { type Command, InvalidArgumentError } from 'commander';
import { pino } from 'pino';
import { createTailServer, type TailServer } from '../tail/index.ts';

interface ServeOptions {
  port: number;
  host: string;
  app?: string;
  cors?: string[];
  maxBody?: number;
  threads?: number;
  grace: number;
  quiet?: boolean;
}

/** Adds `serve` to the program. */
export function registerServe(program: Command): void {
  program
    .command('serve')
    .description('serve the tails of models, their segments to browsers, and optionally a web app')
    .argument('<dir>', 'folder of model folders, or one model folder, as `isthmus split` makes them')
    .option('--port <n>', 'port; 0 takes a free one', whole(0, 65535), 8787)
    .option('--host <address>', 'address to listen on; 0.0.0.0 answers on every network', '127.0.0.1')
    .option('--app <dist>', 'folder of a built web app to serve on the same origin')
    .option('--cors <origin...>', "origins whose pages may call, or '*'")
    .option('--max-body <mb>', 'largest request in MiB (default: 8 for frames, 20 for pictures)', positive)
    .option('--threads <n>', 'threads for inference (default: the cores of this machine)', whole(1, 1024))
    .option('--grace <seconds>', 'how long running requests may take to end after SIGTERM', positive, 10)
    .option('--quiet', 'no line per request')
    .action(serve);
}

async function serve(dir: string, options: ServeOptions): Promise<void> {
  const { port, host, app, cors, maxBody, threads, quiet, grace } = options;
  const bytes = maxBody === undefined ? undefined : Math.floor(maxBody * 1024 * 1024);
  const tail = await createTailServer({
    models: dir,
    port,
    host,
    ...(app !== undefined && { staticDir: app }),
    ...(cors && { cors: cors.includes('*') ? '*' : cors }),
    ...(bytes !== undefined && { maxBodyBytes: bytes, maxPictureBytes: bytes }),
    ...(threads !== undefined && { threads }),
    warm: true,
    logger: pino({ name: 'isthmus', level: quiet ? 'warn' : 'info' }, pino.destination(2)),
  });
  announce(tail, app);
  await stopped(tail, grace * 1000);
}

/** The first line is for scripts and keeps its form; the rest is for people. */
function announce({ url, models }: TailServer, app: string | undefined): void {
  console.log(`listening on ${url}`);
  for (const name of models) console.log(`  model ${url}/models/${name}`);
  if (app !== undefined) console.log(`  app   ${url}/`);
}

/** Waits for SIGTERM or SIGINT, then stops in order; a second signal ends the process at once. */
async function stopped(tail: TailServer, graceMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      console.error(`${signal}: finishing what runs (at most ${graceMs / 1000} s) …`);
      for (const again of SIGNALS) process.on(again, () => process.exit(1)).off(again, stop);
      resolve();
    };
    for (const signal of SIGNALS) process.on(signal, stop);
  });
  await tail.close({ graceMs });
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

function whole(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${low} to ${high}.`);
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It must be a number above 0.');
}
