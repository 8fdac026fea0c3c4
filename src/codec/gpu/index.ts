// isthmus/codec/gpu: the codec on WebGPU, for pages that own a GPUDevice and keep their features on it. It makes and reads
// the bytes of isthmus/codec. Importing it anywhere is harmless; only `create` needs a device.
export type { EncodedTensor } from '../params.ts';
export { GpuDecoder } from './decoder.ts';
export { type FrameCounters, GpuEncoder, type GpuFeature } from './encoder.ts';
export type { Tuning } from './tuning.ts';
