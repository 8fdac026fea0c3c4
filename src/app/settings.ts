// Settings: what the person chose, read from the address bar first and from the last visit second, written to both.
// The server's address is never remembered: a link may carry it for one visit, but it must not stay behind unseen.
import { type ConnectOptions, type Mode, PRESETS } from '../index.ts';

type PresetName = keyof typeof PRESETS;

export interface Settings {
  /** Base address of a tail or `…/models/NAME`; empty means the origin of this page. */
  endpoint: string;
  /** Empty until chosen: the tail's first model. */
  model: string;
  /** Empty means the client's own choice. */
  cut: string;
  preset: PresetName;
  mode: Mode;
  device: NonNullable<ConnectOptions['device']>;
}

export const MODES: readonly (readonly [Mode, string])[] = [
  ['prefer-split', 'prefer split'],
  ['only-split', 'only split'],
  ['prefer-local', 'prefer local'],
  ['only-local', 'only local'],
  ['prefer-remote', 'prefer upload'],
  ['only-remote', 'only upload'],
];

export const DEVICES: readonly (readonly [Settings['device'], string])[] = [
  ['auto', 'automatic'],
  ['webgpu', 'WebGPU'],
  ['wasm', 'WebAssembly'],
];

export const PRESET_NAMES: readonly (readonly [PresetName, string])[] = (
  Object.keys(PRESETS) as PresetName[]
).map((name) => [name, name === 'raw' ? 'raw (lossless)' : name]);

const DEFAULTS: Settings = {
  endpoint: '',
  model: '',
  cut: '',
  preset: 'isthmus',
  mode: 'prefer-split',
  device: 'auto',
};
const KEY = 'isthmus-settings';
const CHOICES: Partial<Record<keyof Settings, readonly (readonly [string, string])[]>> = {
  preset: PRESET_NAMES,
  mode: MODES,
  device: DEVICES,
};

/** Settings from a query string and what was remembered; anything unknown is ignored. */
export function parseSettings(query: string, remembered: string | null): Settings {
  const url = new URLSearchParams(query);
  const old = parseObject(remembered);
  const settings = { ...DEFAULTS } as Record<keyof Settings, string>;
  for (const name of Object.keys(DEFAULTS) as (keyof Settings)[]) {
    const value = url.get(name) ?? (name === 'endpoint' ? undefined : old[name]);
    const allowed = CHOICES[name];
    if (typeof value === 'string' && (!allowed || allowed.some(([v]) => v === value))) settings[name] = value;
  }
  return settings as unknown as Settings;
}

/** The query string that brings these settings back, without what is the default anyway. */
export function settingsQuery(settings: Settings): string {
  const changed = Object.entries(settings).filter(([k, v]) => v !== DEFAULTS[k as keyof Settings]);
  const query = new URLSearchParams(changed).toString();
  return query && `?${query}`;
}

export function readSettings(): Settings {
  return parseSettings(location.search, attempt(() => localStorage.getItem(KEY)) ?? null);
}

export function keepSettings(settings: Settings): void {
  history.replaceState(null, '', `${location.pathname}${settingsQuery(settings)}${location.hash}`);
  const { endpoint: _, ...rest } = settings;
  attempt(() => localStorage.setItem(KEY, JSON.stringify(rest)));
}

function parseObject(text: string | null): Record<string, unknown> {
  const value = attempt(() => JSON.parse(text ?? '{}') as unknown);
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** Storage may be forbidden or full, and what it holds may be broken; none of that may stop the page. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
