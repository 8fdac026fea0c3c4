// The fuzzer behind hostile.test.ts and scripts/fuzz.ts: damaged frames through every entry point and every decoder, with
// what each has to promise: typed errors only, no long call, and one answer from WebAssembly, TypeScript and reference.
import { elementCount } from '../tensor.ts';
import { FrameReader } from '../wire/frameReader.ts';
import { readFrame } from '../wire/readFrame.ts';
import { readTokenBody, type Template } from '../wire/tokenBody.ts';
import { readTokenFrame, tokenContext, writeTokenFrame } from '../wire/tokenFrame.ts';
import { decodeIsthmus } from './cpu/decodeIsthmus.ts';
import { decodeRans } from './cpu/decodeRans.ts';
import { decodeSlicer } from './cpu/decodeSlicer.ts';
import { extremeFrames, makeSeeds, type Seeds, type TokenSeed } from './hostileSeeds.fixture.ts';
import { decode, decodeFrame, type Limits, readTokens } from './index.ts';
import { mutateBytes, mutateFrame, pick, type Random } from './mutate.fixture.ts';
import { codeOf, type Outcome, outcomeOf } from './outcome.fixture.ts';
import type { EncodedTensor } from './params.ts';
import { decodeIsthmus as slowIsthmus } from './reference/decodeIsthmus.ts';
import { decodeRans as slowRans } from './reference/decodeRans.ts';
import { decodeSlicer as slowSlicer } from './reference/decodeSlicer.ts';
import { madeProfileByName } from './reference/isthmusProfiles.ts';
import { randomBits } from './reference/vectors.ts';
import { decodeIsthmus as wasmIsthmus } from './wasm/decodeIsthmus.ts';
import { decodeRans as wasmRans } from './wasm/decodeRans.ts';
import { decodeSlicer as wasmSlicer } from './wasm/decodeSlicer.ts';
import { wasmKernels } from './wasm/kernels.ts';

/** No call may take longer, whatever the frame, under the bound that a server sets. */
export const SLOWEST_MS = 50;
/** That bound. Without it a call may take SLOWEST_MS for each such number of elements. */
export const MILLION = 2 ** 20;
const SERVER = { profiles: madeProfileByName, maxElements: MILLION };
/** What a program sets that wants all that the format allows. */
const OPEN = { profiles: madeProfileByName };
/** One frame in so many is read without the bound. */
const OPEN_SHARE = 8;
/** One frame in so many declares a million elements: each costs as much as hundreds of others. */
const EXTREME_SHARE = 512;
/** Larger tensors are decoded but not compared: the reference takes its time. */
const COMPARED_ELEMENTS = 4096;

const profiles = madeProfileByName;
type Decoder = (tensor: EncodedTensor, count: number) => Float32Array | undefined;

/** WebAssembly, TypeScript, reference. */
const DECODERS: Partial<Record<EncodedTensor['family'], readonly [Decoder, Decoder, Decoder]>> = {
  slicer: [wasmSlicer, decodeSlicer, slowSlicer],
  rans: [wasmRans, decodeRans, slowRans],
  isthmus: [
    (t, n) => wasmIsthmus(t, n, profiles),
    (t, n) => decodeIsthmus(t, n, profiles),
    (t, n) => slowIsthmus(t, n, profiles),
  ],
};

/** What was seen of one family of seeds. */
export interface FuzzRow {
  frames: number;
  /** Read without the bound. */
  open: number;
  accepted: number;
  /** By code. */
  refused: Record<string, number>;
  slowestMs: number;
  /** Of frames that were read without the bound, divided by the millions of elements that they declare. */
  slowestOpenMs: number;
  /** Tensors that three decoders were asked about; those that WebAssembly gave values for. */
  compared: number;
  byKernels: number;
}

/** Something that breaks a promise, with the bytes that show it. */
class Finding extends Error {
  constructor(what: string, bytes: Uint8Array) {
    super(`${what}\nThe frame, in base64: ${Buffer.from(bytes).toString('base64')}`);
  }
}

/** Damages sound frames and asks all decoders. The same seed gives the same frames. */
export class Fuzzer {
  readonly rows = new Map<string, FuzzRow>();
  readonly #random: Random;
  readonly #seeds: Seeds;
  readonly #families: string[];
  readonly #donors: Uint8Array[];
  #row: FuzzRow = newRow();
  #isOpen = false;
  /** The frame at hand. */
  #bytes: Uint8Array = new Uint8Array(0);

  /** @param seed any whole number */
  constructor(seed: number) {
    Error.stackTraceLimit = 0; // traces of refusals cost a fifth of the time, and nobody reads them
    this.#random = randomBits(seed);
    this.#seeds = makeSeeds(700);
    this.#donors = Object.values(this.#seeds.frames).flat();
    const lossy = ['slicer', 'rans', 'isthmus'];
    this.#families = [...Object.keys(this.#seeds.frames), ...lossy, ...lossy, 'several', 'token', 'token'];
    this.#seeds.frames.extreme = extremeFrames(MILLION);
  }

  /** One damaged frame. @throws Finding */
  step(): void {
    const random = this.#random;
    const family = random() % EXTREME_SHARE === 0 ? 'extreme' : pick(this.#families, random);
    this.#isOpen = random() % OPEN_SHARE === 0;
    const row = this.rows.get(family) ?? newRow();
    this.rows.set(family, row);
    this.#row = row;
    row.frames++;
    if (this.#isOpen) row.open++;
    try {
      if (family === 'token') this.#stepToken(pick(this.#seeds.tokens, random));
      else
        this.#stepFrame(
          mutateFrame(pick(this.#seeds.frames[family]!, random), pick(this.#donors, random), random),
        );
    } catch (error) {
      throw error instanceof Finding ? error : new Finding(`Not a typed error: ${error}`, this.#bytes);
    }
  }

  get #limits(): Limits {
    return this.#isOpen ? OPEN : SERVER;
  }

  #stepFrame(bytes: Uint8Array): void {
    const decoded = this.#timed(bytes, () => decodeFrame(bytes, this.#limits));
    this.#count(decoded);
    const read = outcomeOf(() => readFrame(bytes));
    if (read.code !== 'accepted') {
      if (read.code !== decoded.code)
        throw new Finding(`read: ${read.code}, decoded: ${decoded.code}`, bytes);
    } else for (const tensor of read.value!.tensors) this.#compare(tensor, bytes);
    if (this.#random() % 8 === 0) this.#stream(bytes, read.code === 'accepted');
  }

  /** The reader of streams hands on whole what the reader of frames accepts, however it is chopped. */
  #stream(bytes: Uint8Array, sound: boolean): void {
    const cut = (this.#random() >>> 4) % (bytes.length + 1);
    const { value } = this.#timed(bytes, () => {
      const reader = new FrameReader();
      const frames = [...reader.push(bytes.subarray(0, cut)), ...reader.push(bytes.subarray(cut))];
      reader.end();
      return frames;
    });
    if (sound && (value?.length !== 1 || Buffer.compare(value[0]!, bytes) !== 0))
      throw new Finding('The stream reader did not hand on a sound frame', bytes);
  }

  #stepToken({ opening, context, token }: TokenSeed): void {
    const random = this.#random;
    if (random() % 8 === 0) {
      const bytes = mutateFrame(opening, pick(this.#donors, random), random);
      this.#count(this.#timed(bytes, () => readTokens(bytes, this.#limits).opening));
      return;
    }
    const place = { context, opening: new DataView(opening.buffer).getUint32(12, true), sequence: 1 };
    const donor = pick(this.#seeds.tokens, random).token;
    let bytes: Uint8Array;
    if (random() % 4 === 0) bytes = mutateBytes(token, donor, random);
    else {
      const body = mutateBytes(token.subarray(8), donor.subarray(8), random);
      bytes = writeTokenFrame(place, {
        same: random() % 3 === 0 ? random() % 2 === 0 : (token[0]! & 2) !== 0,
        body,
      });
    }
    const reader = readTokens(opening, this.#limits);
    const decoded = this.#timed(bytes, () => reader.decode(bytes));
    this.#count(decoded);
    const templates: Template[] = readFrame(opening).tensors;
    const { value } = outcomeOf(() => readTokenBody(templates, readTokenFrame(place, bytes)));
    for (const tensor of value ?? []) this.#compare(tensor, bytes);
    if (decoded.code !== 'accepted' && codeOf(() => reader.decode(token)) !== 'accepted')
      throw new Finding('After a refused token the sound one was refused too', bytes);
    if (tokenContext(bytes) === undefined && decoded.code === 'accepted')
      throw new Finding('A frame that does not begin like a token was read as one', bytes);
  }

  /** All decoders of the tensor's family accept or refuse alike, and give the same bits. */
  #compare(tensor: EncodedTensor, bytes: Uint8Array): void {
    const decoders = DECODERS[tensor.family];
    if (!decoders || (tensor.dtype !== 'float32' && tensor.dtype !== 'float16')) return;
    const count = outcomeOf(() => elementCount(tensor.shape)).value;
    if (count === undefined || count > COMPARED_ELEMENTS) return;
    const [wasm, typescript, reference] = decoders;
    const kernels = wasmKernels();
    const byKernels = outcomeOf(() => wasm(tensor, count));
    if (wasmKernels() !== kernels) throw new Finding(`The kernels of ${tensor.family} trapped`, bytes);
    const wanted = outcomeOf(() => reference(tensor, count));
    if (wanted.code !== 'accepted' && wanted.code !== 'FRAME_INVALID')
      throw new Finding(`The reference refuses a tensor of ${tensor.family} with ${wanted.code}`, bytes);
    this.#row.compared++;
    expectSame(
      'TypeScript and reference',
      tensor,
      outcomeOf(() => typescript(tensor, count)),
      wanted,
      bytes,
    );
    if (byKernels.code === 'accepted' && byKernels.value === undefined) return; // left to TypeScript
    expectSame('WebAssembly and reference', tensor, byKernels, wanted, bytes);
    if (byKernels.code !== 'accepted') return;
    this.#row.byKernels++;
    if (this.#random() % 16 === 0) {
      const whole = outcomeOf(
        () => decode({ ...tensor, dtype: 'float32' }, { profiles }).data as Float32Array,
      );
      expectSame('decode and reference', tensor, whole, wanted, bytes);
    }
  }

  #count({ code }: Outcome<unknown>): void {
    if (code === 'accepted') this.#row.accepted++;
    else this.#row.refused[code] = (this.#row.refused[code] ?? 0) + 1;
  }

  /** @throws Finding for a call that is too long by itself */
  #timed<T>(bytes: Uint8Array, action: () => T): Outcome<T> {
    this.#bytes = bytes;
    const millions = this.#isOpen ? Math.max(1, declaredElements(bytes) / MILLION) : 1;
    const start = performance.now();
    const outcome = outcomeOf(action);
    let ms = performance.now() - start;
    // The clock also counts other programs and garbage of earlier frames; the processor's time of a second try does not.
    for (let again = 0; ms > SLOWEST_MS * millions && again < 5; again++) {
      const before = process.threadCpuUsage();
      codeOf(action);
      const { user, system } = process.threadCpuUsage(before);
      ms = Math.min(ms, (user + system) / 1000);
    }
    if (ms > SLOWEST_MS * millions)
      throw new Finding(
        `It took ${ms.toFixed(1)} ms (${outcome.code}, ${millions.toFixed(1)} million elements)`,
        bytes,
      );
    const figure = this.#isOpen ? 'slowestOpenMs' : 'slowestMs';
    this.#row[figure] = Math.max(this.#row[figure], ms / millions);
    return outcome;
  }
}

const newRow = (): FuzzRow => ({
  frames: 0,
  open: 0,
  accepted: 0,
  refused: {},
  slowestMs: 0,
  slowestOpenMs: 0,
  compared: 0,
  byKernels: 0,
});

/** What a sound frame declares, 0 for any other. */
function declaredElements(bytes: Uint8Array): number {
  const { value } = outcomeOf(() => readFrame(bytes));
  return value?.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0) ?? 0;
}

function expectSame(
  who: string,
  { family, shape, flags }: EncodedTensor,
  one: Outcome<Float32Array | undefined>,
  other: Outcome<Float32Array | undefined>,
  bytes: Uint8Array,
): void {
  const what = `${who} differ about ${family} [${shape}], flags ${flags}`;
  if (one.code !== other.code) throw new Finding(`${what}: ${one.code}, ${other.code}`, bytes);
  if (one.code !== 'accepted') return;
  const [a, b] = [one.value!, other.value!].map((x) => Buffer.from(x.buffer, x.byteOffset, x.byteLength));
  if (Buffer.compare(a!, b!) !== 0) throw new Finding(`${what}: other values`, bytes);
}
