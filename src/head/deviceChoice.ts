// `device: 'auto'` remembers which device was faster for a model, so that only the first visit measures. Keyed by all
// that may change the answer: adapter, model and browser version.
import type { Manifest } from '../model/manifest.ts';
import type { SafeStore } from './store/safeStore.ts';

export interface DeviceChoice {
  kind: 'webgpu' | 'wasm';
  /** Milliseconds of segment 0. */
  measured: { webgpu: number; wasm: number };
}

const key = (adapter: string, manifest: Manifest) =>
  [
    'choice',
    adapter,
    manifest.id,
    globalThis.crossOriginIsolated ? 'threads' : 'single',
    navigator.userAgent,
  ].join('|');

export async function recallChoice(
  store: SafeStore,
  adapter: string,
  manifest: Manifest,
): Promise<DeviceChoice | undefined> {
  const found = await store.get<Partial<DeviceChoice>>(key(adapter, manifest));
  const valid = found?.kind === 'webgpu' || found?.kind === 'wasm';
  return valid && found.measured ? (found as DeviceChoice) : undefined;
}

export async function rememberChoice(
  store: SafeStore,
  adapter: string,
  manifest: Manifest,
  choice: DeviceChoice,
): Promise<void> {
  await store.set(key(adapter, manifest), choice);
}
