// The module worker: Comlink on one side, the browser runtime on the other. Everything slow happens in here, so that
// the page never stutters. Started by spawn.ts only.
import * as Comlink from 'comlink';
import type { IsthmusError } from '../errors.ts';
import { createBrowserRuntime } from '../head/browserRuntime.ts';
import { memoryUse } from '../head/memoryUse.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import type { News, WithDevice, WorkerApi } from './api.ts';
import { throwsWire, toWire } from './errorWire.ts';
import { keepWasm } from './keptWasm.ts';

let runtime: HeadRuntime | undefined;

function report<T>(value: T): WithDevice<T> {
  return { value, device: runtime!.device, memory: memoryUse() };
}

/** Held until this worker ends, however it ends: the page waits for the same lock and so learns of its death. */
function holdLock(name: string): Promise<boolean> {
  return new Promise((held) => {
    const locks = navigator.locks;
    if (!locks) return held(false); // no secure context: loading fails with a typed error before anything can hang
    locks
      .request(name, () => {
        held(true);
        return new Promise(() => {});
      })
      .catch(() => held(false)); // denied: everything works, only a silent death goes unnoticed
  });
}

const api: WorkerApi = {
  hello: throwsWire(holdLock),
  start: throwsWire(async ({ wasm, ...options }, tell) => {
    // A module that cannot be sent is compiled anew next time; other news always can.
    const say = (news: News) => void Promise.resolve(tell(news)).catch(() => undefined);
    keepWasm(wasm, (module) => say({ about: 'wasm', module }));
    const onTrouble = (why?: IsthmusError) =>
      say({ about: 'device', device: runtime!.device, ...(why && { why: toWire(why) }) });
    runtime = await createBrowserRuntime({ ...options, onTrouble });
    return report(undefined);
  }),
  load: throwsWire(async (options, last, onProgress) => {
    await runtime!.load(options, last, onProgress);
    return report(undefined);
  }),
  head: throwsWire(async (...args) => {
    const result = await runtime!.head(...args);
    return Comlink.transfer(report(result), [result.frame.buffer as ArrayBuffer]);
  }),
  early: throwsWire(async (...args) => {
    const result = await runtime!.early!(...args);
    return Comlink.transfer(report(result), result.head ? [result.head.frame.buffer as ArrayBuffer] : []);
  }),
  local: throwsWire(async (...args) => {
    const result = await runtime!.local(...args);
    const buffers = new Set(Object.values(result.outputs).map((tensor) => tensor.data.buffer as ArrayBuffer));
    return Comlink.transfer(report(result), [...buffers]);
  }),
  remote: throwsWire(async (...args) => {
    const result = await runtime!.remote(...args);
    return Comlink.transfer(report(result), [result.frame.buffer as ArrayBuffer]);
  }),
  formats: throwsWire(async () => report(await runtime!.formats!())),
  gzipFp16Bytes: throwsWire(async (...args) => report(await runtime!.gzipFp16Bytes(...args))),
  close: throwsWire(async () => {
    await runtime?.close();
  }),
};

// With wasm threads onnxruntime starts its own workers from the file that holds its code, which bundlers make this one.
if (!(globalThis as { name?: string }).name?.startsWith('em-pthread')) Comlink.expose(api);
