// Why the GPU encoder says no: checks of what the caller passes, and the words for what the device reports.
import { IsthmusError } from '../../errors.ts';
import type { PlacedTensor } from './framePlan.ts';

/** Refuses what WebGPU would only report later, or not at all. */
export function checkFeature(
  { buffer, offset = 0 }: { buffer: GPUBuffer; offset?: number },
  { feature: { byteLength }, plan }: PlacedTensor,
): void {
  if (byteLength === 0) return;
  if (plan.copiesFeature && !(buffer.usage & GPUBufferUsage.COPY_SRC))
    throw bad('lies in a buffer without COPY_SRC usage');
  if (plan.stages.length > 0 && !(buffer.usage & GPUBufferUsage.STORAGE))
    throw bad('lies in a buffer without STORAGE usage');
  if (!Number.isInteger(offset) || offset < 0 || offset % 4 !== 0)
    throw bad(`starts at byte ${offset}, which is not a multiple of 4`);
  if (offset + Math.ceil(byteLength / 4) * 4 > buffer.size)
    throw bad(`needs ${byteLength} bytes from byte ${offset}, and its buffer has ${buffer.size}`);
}

/** Why the device is gone, or undefined when it is not; a failed map can be told before the loss is. */
export function lossOf(device: GPUDevice): Promise<GPUDeviceLostInfo | undefined> {
  return Promise.race([device.lost, new Promise<undefined>((resolve) => setTimeout(resolve, 100))]);
}

const bad = (what: string) =>
  new IsthmusError('INPUT_INVALID', `A feature ${what}. Pass the buffer that the head wrote, in bytes.`);
export const closed = () => new IsthmusError('CLOSED', 'This encoder was destroyed. Create another one.');
export const deviceLost = (info: GPUDeviceLostInfo, cause?: unknown) =>
  new IsthmusError(
    'DEVICE_LOST',
    `The GPU device was lost (${info.message || info.reason}). Request a new device and create a new encoder.`,
    { cause },
  );
export const noMemory = (bytes: number, cause: GPUError) =>
  new IsthmusError(
    'TOO_LARGE',
    `The GPU has no ${bytes} bytes left for the codec. Choose a deeper cut or the wasm device.`,
    { cause },
  );
export const refusal = (cause: unknown) =>
  IsthmusError.from(
    cause,
    'INTERNAL',
    'The GPU refused the codec’s commands; is the feature’s buffer alive?',
  );
