// The calibrated codec profiles of a served model, fetched from its tail as a client does.
import { type CodecProfile, parseProfile } from '../src/codec/profile.ts';
import type { Manifest } from '../src/model/manifest.ts';

/** @param origin - of the tail */
export async function readProfiles(origin: string, manifest: Manifest) {
  const ofCut = new Map<string, CodecProfile>();
  const byName = new Map<string, CodecProfile>();
  for (const { name, profile: file } of manifest.cuts) {
    if (!file) continue;
    const reply = await fetch(`${origin}/artifacts/${file.sha256}`);
    const profile = parseProfile(new Uint8Array(await reply.arrayBuffer()), file.sha256.slice(0, 16));
    ofCut.set(name, profile);
    byName.set(profile.name, profile);
  }
  return { ofCut, byName };
}
