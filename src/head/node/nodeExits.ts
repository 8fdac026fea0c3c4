// Early exits in Node: fetched and compiled when they are first wanted, and done without where they cannot be had.
import type { InferenceSession } from 'onnxruntime-node';
import type { LoadOptions } from '../runtime.ts';
import type { ModelStore, SegmentRequest } from '../store/modelStore.ts';

export interface NodeExit {
  /** Index into the manifest's. */
  exit: number;
  session: InferenceSession;
}

export class NodeExits {
  readonly #get: (file: SegmentRequest) => ReturnType<ModelStore['get']>;
  readonly #compile: (bytes: Uint8Array, file: string) => Promise<InferenceSession>;
  /** By sha256: exits are no part of the model's id, and may change under it. */
  readonly #sessions = new Map<string, InferenceSession>();

  constructor(
    get: (file: SegmentRequest) => ReturnType<ModelStore['get']>,
    compile: (bytes: Uint8Array, file: string) => Promise<InferenceSession>,
  ) {
    this.#get = get;
    this.#compile = compile;
  }

  /** Those of `exits` that are here or can be fetched. @throws IsthmusError INFERENCE_FAILED for one that does not compile */
  async here(
    exits: readonly number[],
    { manifest, artifacts, token, keptOnly }: LoadOptions,
  ): Promise<NodeExit[]> {
    const found: NodeExit[] = [];
    for (const exit of exits) {
      const { sha256, bytes, file } = manifest.exits![exit]!;
      let session = this.#sessions.get(sha256);
      if (!session) {
        const content = await this.#get({ artifacts, sha256, bytes, token, keptOnly }).catch(() => undefined);
        if (!content) continue; // everything works without it
        session = await this.#compile(content, file);
        this.#sessions.set(sha256, session);
      }
      found.push({ exit, session });
    }
    return found;
  }

  async release(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => session.release()));
  }
}
