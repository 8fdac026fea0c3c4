// The configuration of a tail: flags before environment before file before defaults, checked by one schema. An error says
// which setting is wrong and where its value came from. It reads the one file it is given and starts nothing.
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { IsthmusError } from '../../errors.ts';
import { FACTS, SETTINGS, type SettingFacts, type SettingName, type Settings } from './settings.ts';

export interface ConfigSources {
  /** Path of a JSON file with settings by name. */
  file?: string | undefined;
  /** As `process.env`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Settings that were given on the command line, as text (lists as arrays, switches as booleans). */
  flags?: Readonly<Record<string, unknown>>;
}

export interface Config {
  settings: Settings;
  /** Where each value that is no default came from: `--port`, `ISTHMUS_PORT`, `'port' in tail.json`. */
  from: ReadonlyMap<SettingName, string>;
}

/**
 * @throws IsthmusError OPTION_INVALID for a file that is no JSON object, a name that no setting has, or a value out of its bounds
 * @example const { settings } = await loadConfig({ file: 'tail.json', env: process.env });
 */
export async function loadConfig({ file, env = {}, flags = {} }: ConfigSources): Promise<Config> {
  const inFile = file === undefined ? {} : await readConfigFile(file);
  const values: Record<string, unknown> = {};
  const from = new Map<SettingName, string>();
  for (const facts of FACTS) {
    const { name, variable, flag } = facts;
    const take = (value: unknown, origin: string) => {
      if (value === undefined || from.has(name)) return;
      values[name] = typeof value === 'string' ? fromText(facts, value) : value;
      from.set(name, origin);
    };
    take(flags[name], flag ?? name);
    take(isServiceLink(env[variable]) ? undefined : env[variable], variable);
    if (Object.hasOwn(inFile, name) && !from.has(name)) {
      values[name] = inFile[name]; // JSON has types of its own
      from.set(name, `'${name}' in ${file}`);
    }
  }
  const checked = v.safeParse(SETTINGS, values);
  if (checked.success) return { settings: checked.output, from };
  const [issue] = checked.issues;
  const name = String(issue.path?.[0]?.key) as SettingName;
  const place = (issue.path ?? []).slice(1).map(({ key }) => ` ${Number(key) + 1}`);
  throw invalid(`${from.get(name) ?? name}${place.length > 0 ? `, entry${place[0]},` : ''} ${issue.message}`);
}

/** The settings in the form of a configuration file, without what is secret. */
export function printableConfig({ settings }: Config): string {
  const shown = FACTS.map(({ name, secret }) => {
    const value = settings[name];
    return [name, secret && value !== undefined ? '(hidden)' : value];
  });
  return JSON.stringify(Object.fromEntries(shown), null, 2);
}

async function readConfigFile(file: string): Promise<Record<string, unknown>> {
  const content = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw invalid(`The configuration file '${file}' cannot be read. Name a file that exists`, cause);
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch (cause) {
    throw invalid(`The configuration file '${file}' is no JSON (${(cause as Error).message})`, cause);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw invalid(`The configuration file '${file}' must hold one JSON object with settings by name`);
  const known = FACTS.map(({ name }) => name as string);
  const unknown = Object.keys(parsed).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw invalid(`'${unknown}' in ${file} is no setting. There are: ${known.join(', ')}`);
  return parsed as Record<string, unknown>;
}

/** What cannot be turned stays text, and the schema refuses it in words that name its bounds. */
function fromText({ kind }: SettingFacts, given: string): unknown {
  const value = given.trim();
  if (kind === 'number') return /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (kind === 'list')
    return value
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean);
  if (kind === 'text') return value;
  const switches: Record<string, boolean> = {
    true: true,
    1: true,
    yes: true,
    false: false,
    0: false,
    no: false,
  };
  return switches[value.toLowerCase()] ?? value;
}

/**
 * Kubernetes gives every container the address of each service, for one called `isthmus` as ISTHMUS_PORT=tcp://10.0.0.1:80:
 * not a setting of ours.
 */
function isServiceLink(value: string | undefined): boolean {
  return /^(tcp|udp|sctp):\/\//.test(value ?? '');
}

function invalid(reason: string, cause?: unknown): IsthmusError {
  return new IsthmusError('OPTION_INVALID', `${reason}.`, { cause });
}
