// `isthmus serve`: starts a tail, says where it is and what it has, reloads it on SIGHUP, and stops it in order when the
// process is told to. Its flags follow from the settings (src/tail/operate/settings.ts); files and environment count too.
import type { Command } from 'commander';
import { pino } from 'pino';
import { IsthmusError } from '../errors.ts';
import {
  createGate,
  createOipBackend,
  createTailServer,
  type TailServer,
  type TailServerOptions,
} from '../tail/index.ts';
import { isLoopback } from '../tail/operate/clientAddress.ts';
import { type ConfigSources, loadConfig, printableConfig } from '../tail/operate/config.ts';
import { gateOptions } from '../tail/operate/gateOptions.ts';
import { FACTS, type SettingFacts, type Settings } from '../tail/operate/settings.ts';
import { DEV_CERT_FOLDER } from './devCert.ts';
import { renewTls, tlsOptions } from './tlsOptions.ts';

const MIB = 1024 * 1024;

/** Adds `serve` to the program. */
export function registerServe(program: Command): void {
  const command = program
    .command('serve')
    .description('serve the tails of models, their segments to browsers, and optionally a web app')
    .argument('[dir]', FACTS.find(({ name }) => name === 'models')!.about)
    .option('--config <file>', 'JSON file with settings; flags and ISTHMUS_… variables count more')
    .option('--print-config', 'show the settings that hold, and end');
  for (const facts of FACTS) if (facts.name !== 'models' && facts.flag) command.option(...optionOf(facts));
  command.action(serve);
}

/** Without a default: whether a flag was given must stay visible, or it would hide the environment and the file. */
function optionOf({
  name,
  flag,
  kind,
  about,
  default: value,
}: SettingFacts): [flags: string, description: string] {
  const shapes = { boolean: '', list: ' <value...>', number: ' <n>', text: ' <text>' };
  // Alone it takes the folder that `isthmus dev-cert` writes to.
  if (name === 'devCert') return [`${flag} [dir]`, about];
  const standard = value === undefined || kind === 'boolean' ? '' : ` (default: ${String(value)})`;
  return [`${flag}${shapes[kind]}`, `${about}${standard}`];
}

async function serve(
  dir: string | undefined,
  options: Record<string, unknown>,
  command: Command,
): Promise<void> {
  const given = Object.entries(options).filter(([name]) => command.getOptionValueSource(name) === 'cli');
  const { config, printConfig, ...flags } = Object.fromEntries(given);
  if (flags.devCert === true) flags.devCert = DEV_CERT_FOLDER;
  const file = (config as string | undefined) ?? process.env.ISTHMUS_CONFIG;
  const sources: ConfigSources = { file, env: process.env, flags: { ...flags, ...(dir && { models: dir }) } };
  const loaded = await loadConfig(sources);
  const { settings } = loaded;
  if (printConfig) {
    console.log(printableConfig(loaded));
    for (const [name, origin] of loaded.from) console.error(`${name}: from ${origin}`);
    return;
  }
  const log = pino({ name: 'isthmus', level: settings.quiet ? 'warn' : 'info' }, pino.destination(2));
  const gate = await createGate(await gateOptions(settings));
  const tail = await createTailServer({
    ...serverOptions(settings),
    ...(await tlsOptions(settings)),
    gate,
    logger: log,
  });
  const reload = async () => {
    try {
      await gate.reload(await gateOptions((await loadConfig(sources)).settings));
      await tail.reload();
      await renewed();
      log.warn({ closed: gate.closed }, 'reloaded');
    } catch (thrown) {
      const { code, message } = IsthmusError.from(thrown, 'INTERNAL', 'Nothing was reloaded.');
      log.error({ code }, message);
    }
  };
  const renewed = renewTls(tail, settings, log);
  process.on('SIGHUP', () => void reload());
  if (!gate.closed && !isLoopback(settings.host) && settings.host !== 'localhost')
    log.warn(
      { host: settings.host },
      'everybody who reaches this address may use the tail: it asks for no token',
    );
  announce(tail, settings);
  await stopped(tail, settings.grace * 1000);
}

function serverOptions(settings: Settings): TailServerOptions {
  const { models, port, host, app, cors, maxBody, threads, maxQueue, metrics, watch } = settings;
  if (models === undefined)
    throw new IsthmusError('OPTION_INVALID', 'No folder of models is named. Add it: isthmus serve models/');
  const bytes = maxBody === undefined ? undefined : Math.floor(maxBody * MIB);
  return {
    models,
    port,
    host,
    metrics,
    watch,
    maxBatch: settings.maxBatch,
    maxBatchWaitMs: settings.batchWait,
    features: { bytes: settings.featureCache * MIB, ttlMs: settings.featureSeconds * 1000 },
    modelGraceMs: settings.modelGrace * 1000,
    headersTimeoutMs: settings.headersTimeout * 1000,
    requestTimeoutMs: settings.requestTimeout * 1000,
    maxConnections: settings.maxConnections,
    maxLinks: settings.maxLinks,
    maxLinksPerAddress: settings.maxLinksPerAddress,
    ...(app !== undefined && { staticDir: app }),
    ...(cors && { cors: cors.includes('*') ? '*' : cors }),
    ...(bytes !== undefined && { maxBodyBytes: bytes, maxPictureBytes: bytes }),
    ...(threads !== undefined && { threads }),
    ...(maxQueue !== undefined && { maxQueue }),
    ...engineOptions(settings),
  };
}

function engineOptions({
  grpcPort,
  backend,
  backendModel,
  backendToken,
}: Settings): Partial<TailServerOptions> {
  return {
    ...(grpcPort !== undefined && { grpcPort }),
    // An engine warms up by itself, and shall not get zeros from every tail that starts.
    ...(backend === undefined
      ? { warm: true }
      : { backend: createOipBackend({ url: backend, model: backendModel, token: backendToken }) }),
  };
}

/** The first line is for scripts and keeps its form; the rest is for people. */
function announce({ url, models, grpcPort, webTransport }: TailServer, { app }: Settings): void {
  console.log(`listening on ${url}`);
  for (const hash of webTransport?.certificateHashes ?? []) console.log(`  sha-256 ${hash}`);
  if (grpcPort !== undefined) console.log(`  gRPC  ${new URL(url).hostname}:${grpcPort}`);
  for (const name of models) console.log(`  model ${url}/models/${name}`);
  if (app !== undefined) console.log(`  app   ${url}/`);
}

/** Waits for SIGTERM or SIGINT, then stops in order; a second signal ends the process at once. */
async function stopped(tail: TailServer, graceMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      console.error(`${signal}: finishing what runs (at most ${graceMs / 1000} s) …`);
      // process.exit() would end threads in the middle of onnxruntime, which aborts and dumps the memory of the process.
      const end = () => process.kill(process.pid, 'SIGKILL');
      for (const again of SIGNALS) process.on(again, end).off(again, stop);
      resolve();
    };
    for (const signal of SIGNALS) process.on(signal, stop);
  });
  await tail.close({ graceMs });
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
