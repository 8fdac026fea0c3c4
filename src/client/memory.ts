// Memory: the manifests that connect() has seen, by the address they were asked for at, beside the segments that this device
// keeps. With both a session starts where no tail can be reached. It decides nothing and fetches nothing.
import { type Manifest, parseManifest, sha256Hex } from '../model/manifest.ts';
import type { Endpoint } from './endpoint.ts';

/** Where a platform keeps small things; neither call ever rejects. */
export interface KeptThings {
  get<T>(key: string): Promise<T | undefined>;
  /** @returns whether it was kept */
  set(key: string, value: unknown): Promise<boolean>;
}

/** What an address stood for when it was last reached. */
export interface KnownModel {
  endpoint: Endpoint;
  manifest: Manifest;
}

/** @returns undefined for what was never reached, and for what this release cannot read any more */
export async function recall(kept: KeptThings, address: string): Promise<KnownModel | undefined> {
  try {
    const found = await kept.get<KnownModel>(await keyOf(address));
    if (!found) return undefined;
    const { base, model, artifacts } = found.endpoint;
    return { endpoint: { base, model, artifacts }, manifest: await parseManifest(found.manifest) };
  } catch {
    return undefined;
  }
}

/** Never fails: what cannot be kept is not. */
export async function remember(kept: KeptThings, address: string, model: KnownModel): Promise<void> {
  try {
    await kept.set(await keyOf(address), model);
  } catch {
    // An address that is none, or a page without crypto.subtle: connecting fails by itself.
  }
}

/** Hashed, because on disks it becomes the name of a file. */
async function keyOf(address: string): Promise<string> {
  const url = new URL(address, globalThis.location?.href);
  url.hash = '';
  return `manifest-${await sha256Hex(new TextEncoder().encode(url.href))}`;
}
