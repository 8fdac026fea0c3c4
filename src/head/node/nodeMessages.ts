// The whole vocabulary between nodeRuntime.ts and nodeWorker.ts. Types only.
import type { CodecParams } from '../../codec/params.ts';
import type { ErrorJSON } from '../../errors.ts';
import type { EarlyPlan, ExitAnswer, HeadRuntime, LoadOptions, Progress, RuntimeInput } from '../runtime.ts';

export type Call =
  | { method: 'load'; args: [options: LoadOptions, last: number] }
  | { method: 'head'; args: [input: RuntimeInput, cut: number, codec: CodecParams] }
  | { method: 'early'; args: [input: RuntimeInput, plan: EarlyPlan] }
  | { method: 'local'; args: [input: RuntimeInput] }
  | { method: 'remote'; args: Parameters<HeadRuntime['remote']> }
  | { method: 'formats'; args: [] }
  | { method: 'gzipFp16Bytes'; args: Parameters<HeadRuntime['gzipFp16Bytes']> }
  | { method: 'close'; args: [] };

export type FromWorker = { id: number } & (
  | { value: unknown }
  | { error: ErrorJSON }
  | { progress: Progress }
  | { answer: ExitAnswer }
);
