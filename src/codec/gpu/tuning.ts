// What suits an adapter: sizes of workgroups and how they scan. The bytes never depend on it. Measuring which of
// several tunings is fastest is autotune's business.

export interface Tuning {
  /** Invocations per workgroup, a multiple of 32 up to 256; see WORKGROUP in slicerState.wgsl. */
  workgroup: number;
  /** Workgroups per dispatch at most: few and fat, because each resolves the histograms anew. */
  workgroups: number;
  /** Whether the first histogram is gathered in workgroup memory. */
  sharedBins: boolean;
  /** How prefix sums within a workgroup are made; 'subgroup' needs the device feature `subgroups`. */
  scan: 'shared' | 'subgroup';
  /** Symbols from which family isthmus codes its lanes on the GPU; see isthmusFamily.ts for what holds without it. */
  lanesFrom?: number;
}

export const HARDWARE: Tuning = { workgroup: 256, workgroups: 64, sharedBins: true, scan: 'shared' };
/**
 * SwiftShader makes a coroutine of every four invocations of a shader that has a barrier, about 20 µs each, while the
 * loop itself runs at a few nanoseconds per element: there, as few invocations as keep its threads busy. It also
 * compiles for about 0.6 ms per word of workgroup memory, which it zeroes one by one: there, as little as possible.
 */
export const SOFTWARE: Tuning = { workgroup: 32, workgroups: 4, sharedBins: false, scan: 'shared' };

export function tuningFor(info: Partial<GPUAdapterInfo> | undefined): Tuning {
  const isSoftware =
    info?.isFallbackAdapter ||
    /swiftshader|llvmpipe|warp/i.test(`${info?.architecture} ${info?.description}`);
  return isSoftware ? SOFTWARE : HARDWARE;
}
