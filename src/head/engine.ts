// Engine: segments 0…n compiled for one kind of device, and what can be asked of them. gpuEngine.ts and wasmEngine.ts
// implement it; browserRuntime.ts chooses between them, feeds them and replaces a lost one.
import type { CodecParams, EncodedTensor } from '../codec/params.ts';
import type { Tensors } from '../tensor.ts';
import type { Picture } from './picture.ts';
import type { DeviceReport, EarlyPlan, ExitAnswer, LocalResult, StageTimes } from './runtime.ts';

/** What enters segment 0. */
export type EngineInput = { picture: Picture } | { tensors: Tensors };

interface EncodedFeature {
  /** In the order of the cut's tensors. */
  tensors: EncodedTensor[];
  timings: StageTimes;
}

/** As EarlyResult, before it is a frame. */
interface EarlyFeature {
  answers: ExitAnswer[];
  /** Absent where an exit was sure enough. */
  tensors?: EncodedTensor[];
  timings: StageTimes;
}

/** One call at a time; the runtime queues. */
export interface Engine {
  readonly report: DeviceReport;
  /** True once the device is gone and everything computed on it is worthless. */
  readonly lost: boolean;
  /** Called with the reason when the device is gone. A slot, not a promise: a promise would collect one reaction per run. */
  onLost: ((reason: string) => void) | undefined;
  /** Exits count behind the segments, see `exitPart`. */
  has(segment: number): boolean;
  /** Compiles one segment, or an exit. */
  add(segment: number, bytes: Uint8Array): Promise<void>;
  /** Pays now, while the page shows progress, for what the first run would have to wait for: shaders of segments 0…last. */
  warmUp(last: number): Promise<void>;
  /** Runs segments 0…cut and encodes the feature. */
  head(input: EngineInput, cut: number, codec: CodecParams): Promise<EncodedFeature>;
  /** Runs segments 0…cut and the exits on the way, up to the first that is sure enough; else encodes the feature. */
  early(input: EngineInput, plan: EarlyPlan, onAnswer?: (answer: ExitAnswer) => void): Promise<EarlyFeature>;
  /** Runs every segment. */
  local(input: EngineInput): Promise<LocalResult>;
  /** Runs segments 0…cut and reads the feature back as it is. */
  feature(input: EngineInput, cut: number): Promise<Tensors>;
  /** Median milliseconds of segment 0 on an input of zeros, once warm. */
  measure(): Promise<number>;
  close(): Promise<void>;
}
