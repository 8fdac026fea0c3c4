// The Node engine: segments on onnxruntime-node, pictures by sharp, the CPU codec. It runs inside a worker thread
// (nodeWorker.ts), because onnxruntime-node blocks the thread it runs on; it knows no threads and no links.
import type { InferenceSession } from 'onnxruntime-node';
import { encodeTensor } from '../../codec/cpu/encode.ts';
import { type CodecParams, type EncodedTensor, resolveCodec } from '../../codec/params.ts';
import { IsthmusError } from '../../errors.ts';
import { preprocessImage, resizeToCrop } from '../../image/preprocess.ts';
import { judge } from '../../model/exitRule.ts';
import { exitsUpTo, type Manifest, modelTag } from '../../model/manifest.ts';
import type { Tensor, Tensors } from '../../tensor.ts';
import { INPUT_CUT } from '../../wire/layout.ts';
import { writeFrame } from '../../wire/writeFrame.ts';
import { checkTensors, preprocessOf } from '../checkInput.ts';
import { gzipFp16Bytes } from '../gzipFp16.ts';
import { Profiles } from '../profiles.ts';
import type {
  EarlyPlan,
  EarlyResult,
  ExitAnswer,
  HeadResult,
  LoadOptions,
  LocalResult,
  Pixels,
  Progress,
  RuntimeInput,
} from '../runtime.ts';
import type { ModelStore } from '../store/modelStore.ts';
import { NodeExits } from './nodeExits.ts';
import { decodeImage, encodeImage, warmUpImages } from './nodeImage.ts';
import { nodeModelStore } from './nodeStore.ts';
import { fromOrt, type Ort, type OrtTensor, toOrt } from './nodeTensors.ts';

/** Every segment is a session with threads of its own: such as spin while they wait take the cores from the segment that runs. */
const SESSION: InferenceSession.SessionOptions = {
  logSeverityLevel: 3,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
};
const IMAGE_CODES = { jpeg: 0, webp: 1 } as const;

export class NodeEngine {
  #ort: Ort | undefined;
  #manifest: Manifest | undefined;
  #sessions: InferenceSession[] = [];
  #loading: Promise<unknown> = Promise.resolve();
  readonly #store = nodeModelStore();
  readonly #aborting = new AbortController();
  readonly #exits = new NodeExits(
    (file) => this.#fetch(file),
    (...args) => this.#compile(...args),
  );
  readonly #profiles = new Profiles((file) => this.#fetch(file));
  #source: LoadOptions | undefined;

  /** Downloads and compiles segments that are not there yet; another manifest starts anew. */
  load(options: LoadOptions, last: number, onProgress: (p: Progress) => void): Promise<void> {
    const next = this.#loading.then(() => this.#load(options, last, onProgress)); // two at once would add twice
    this.#loading = next.catch(() => undefined);
    return next;
  }

  async #load(options: LoadOptions, last: number, onProgress: (p: Progress) => void): Promise<void> {
    const { artifacts, token, keptOnly, manifest } = options;
    if (this.#manifest?.id !== manifest.id) await this.close();
    this.#source = options;
    this.#manifest = manifest; // labels and preprocessing may change under one id
    if (manifest.preprocess) warmUpImages();
    const first = this.#sessions.length;
    const wanted = manifest.segments.slice(first, last + 1);
    const total = wanted.reduce((sum, s) => sum + s.bytes, 0);
    let before = 0;
    const files: Uint8Array[] = [];
    for (const { sha256, bytes } of wanted) {
      const at = before;
      const report = (loaded: number) => onProgress({ stage: 'download', loaded: at + loaded, total });
      files.push(await this.#fetch({ artifacts, sha256, bytes, token, keptOnly }, report));
      before += bytes;
    }
    before = 0;
    for (const [i, segment] of wanted.entries()) {
      this.#aborting.signal.throwIfAborted();
      this.#sessions.push(await this.#compile(files[i]!, segment.file));
      before += segment.bytes;
      onProgress({ stage: 'compile', loaded: before, total });
    }
    if (options.exits) await this.#exits.here(exitsUpTo(manifest, last), options).catch(() => undefined);
  }

  async head(input: RuntimeInput, cut: number, codec: CodecParams): Promise<HeadResult> {
    this.#known();
    const params = await this.#profiles.complete(resolveCodec(codec), this.#source!, cut);
    const clock = stopwatch();
    const tensors = await this.#inputs(input);
    const preprocess = clock();
    const feature = await this.#chain(tensors, cut);
    const head = clock();
    const encoded = this.#encode(feature, cut, params);
    return { ...encoded, timings: { preprocess, head, encode: clock() } };
  }

  async early(
    input: RuntimeInput,
    { exits, cut, codec }: EarlyPlan,
    onAnswer: (answer: ExitAnswer) => void,
  ): Promise<EarlyResult> {
    const manifest = this.#known();
    const params = await this.#profiles.complete(resolveCodec(codec), this.#source!, cut);
    const here = await this.#exits.here(exits, this.#source!);
    const clock = stopwatch();
    let values = await this.#inputs(input);
    const preprocess = clock();
    const answers: ExitAnswer[] = [];
    let next = 0;
    for (const { exit, session } of here) {
      const info = manifest.exits![exit]!;
      values = await this.#chain(values, info.cut, next);
      next = info.cut + 1;
      const outputs = await this.#run(session, values, `Exit '${info.name}'`);
      const verdict = judge(manifest, info, outputs);
      if (!verdict) continue; // NaN: the whole model will say so
      const answer = { exit, outputs, ...verdict };
      answers.push(answer);
      if (verdict.enough) return { answers, timings: { preprocess, head: clock() } };
      onAnswer(answer);
    }
    const feature = await this.#chain(values, cut, next);
    const head = clock();
    const { frame, rawBytes } = this.#encode(feature, cut, params);
    return { answers, head: { frame, rawBytes }, timings: { preprocess, head, encode: clock() } };
  }

  #encode(feature: Tensors, cut: number, params: CodecParams): Pick<HeadResult, 'frame' | 'rawBytes'> {
    const parts = this.#known().cuts[cut]!.tensors.map(({ name }) => pick(feature, name));
    const encoded = parts.map((t) => encodeTensor(t, params));
    const rawBytes = parts.reduce((sum, t) => sum + t.data.byteLength, 0);
    return { frame: this.#frame(cut, encoded), rawBytes };
  }

  async local(input: RuntimeInput): Promise<LocalResult> {
    const manifest = this.#known();
    const clock = stopwatch();
    const tensors = await this.#inputs(input);
    const preprocess = clock();
    const all = await this.#chain(tensors, manifest.segments.length - 1);
    const outputs = Object.fromEntries(manifest.outputs.map(({ name }) => [name, pick(all, name)]));
    return { outputs, timings: { preprocess, head: clock() } };
  }

  async remote(input: RuntimeInput, format: 'jpeg' | 'webp', quality: number): Promise<HeadResult> {
    const manifest = this.#known();
    const clock = stopwatch();
    if (input.kind === 'tensors') {
      checkTensors(input.tensors, manifest);
      const parts = manifest.inputs.map(({ name }) => pick(input.tensors, name));
      const frame = this.#frame(
        INPUT_CUT,
        parts.map((t) => encodeTensor(t, { family: 'raw' })),
      );
      const rawBytes = parts.reduce((sum, t) => sum + t.data.byteLength, 0);
      return { frame, timings: { encode: clock() }, rawBytes };
    }
    const picture = resizeToCrop(await pixelsOf(input), preprocessOf(manifest));
    const preprocess = clock();
    const payload = await encodeImage(picture, format, quality);
    const { width, height } = picture;
    const frame = this.#frame(INPUT_CUT, [
      {
        family: 'image',
        dtype: 'uint8',
        shape: [height, width, 3],
        flags: 0,
        params: Uint8Array.of(IMAGE_CODES[format], 1, 0, 0),
        payload,
      },
    ]);
    return { frame, timings: { preprocess, encode: clock() }, rawBytes: 4 * 3 * width * height };
  }

  async gzipFp16Bytes(input: RuntimeInput, cut: number): Promise<number> {
    const feature = await this.#chain(await this.#inputs(input), cut);
    const parts = this.#known().cuts[cut]!.tensors.map(({ name }) => pick(feature, name));
    return gzipFp16Bytes(parts);
  }

  /** Ends downloads, for good: nothing is loaded any more. */
  abort(): void {
    this.#aborting.abort(new IsthmusError('CLOSED', 'The session is closed. Connect again.'));
  }

  async close(): Promise<void> {
    const sessions = this.#sessions;
    this.#sessions = [];
    this.#manifest = undefined;
    await Promise.all([...sessions.map((s) => s.release()), this.#exits.release()]);
  }

  #fetch(...[file, told]: Parameters<ModelStore['get']>): ReturnType<ModelStore['get']> {
    return this.#store.get(file, told, this.#aborting.signal);
  }

  #known(): Manifest {
    if (this.#manifest) return this.#manifest;
    throw new IsthmusError('CLOSED', 'No model is loaded on this device. Load it first.');
  }

  async #inputs(input: RuntimeInput): Promise<Tensors> {
    if (input.kind === 'tensors') {
      checkTensors(input.tensors, this.#known());
      return input.tensors;
    }
    const spec = preprocessOf(this.#known());
    return { [spec.input]: preprocessImage(await pixelsOf(input), spec) };
  }

  /** Runs segments first…last; the result holds every tensor that was named on the way. */
  async #chain(inputs: Tensors, last: number, first = 0): Promise<Tensors> {
    const named = { ...inputs };
    for (let i = first; i <= last; i++) {
      const session = this.#sessions[i];
      if (!session)
        throw new IsthmusError('INTERNAL', `Segment ${i} was not loaded before it was run; report it.`);
      Object.assign(named, await this.#run(session, named, `Segment ${i}`));
    }
    return named;
  }

  async #run(session: InferenceSession, named: Tensors, what: string): Promise<Tensors> {
    const ort = await this.#loadOrt();
    try {
      const feeds = session.inputNames.map((name) => [name, toOrt(ort, pick(named, name))]);
      const results = await session.run(Object.fromEntries(feeds));
      const outputs = session.outputNames.map((name) => [name, fromOrt(results[name] as OrtTensor)]);
      return Object.fromEntries(outputs);
    } catch (thrown) {
      throw IsthmusError.from(thrown, 'INFERENCE_FAILED', `${what} failed in onnxruntime-node.`);
    }
  }

  async #compile(bytes: Uint8Array, file: string): Promise<InferenceSession> {
    const ort = await this.#loadOrt();
    try {
      return await ort.InferenceSession.create(bytes, SESSION);
    } catch (thrown) {
      throw IsthmusError.from(thrown, 'INFERENCE_FAILED', `onnxruntime-node cannot load ${file}.`);
    }
  }

  async #loadOrt(): Promise<Ort> {
    try {
      this.#ort ??= await import('onnxruntime-node');
      return this.#ort;
    } catch (cause) {
      throw new IsthmusError(
        'INFERENCE_FAILED',
        'Running segments in Node needs the package onnxruntime-node: `npm install onnxruntime-node`, or use only-remote.',
        { cause },
      );
    }
  }

  #frame(cut: number, tensors: EncodedTensor[]): Uint8Array {
    return writeFrame({ kind: 'request', modelTag: modelTag(this.#known()), cut, meta: {}, tensors });
  }
}

/** Milliseconds since the last call. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const before = last;
    last = performance.now();
    return last - before;
  };
}

async function pixelsOf(input: Exclude<RuntimeInput, { kind: 'tensors' }>): Promise<Pixels> {
  if (input.kind === 'file') return decodeImage(input.bytes);
  if (input.kind === 'pixels') return input.pixels;
  throw new IsthmusError('INPUT_INVALID', 'Node has no ImageBitmap; give an encoded picture or pixels.');
}

function pick(tensors: Tensors, name: string): Tensor {
  const tensor = tensors[name];
  if (tensor) return tensor;
  throw new IsthmusError('INPUT_INVALID', `The tensor '${name}' is missing.`);
}
