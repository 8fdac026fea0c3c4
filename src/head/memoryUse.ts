// What this worker holds of WebAssembly and GPU memory, counted where it is asked for: neither is told by browsers, and both are
// what kills pages on small devices.

const memories = new Set<WebAssembly.Memory>();
let gpuBytes = 0;

/** Counts the memories that a module brings or is given. */
export function countMemory(instance: WebAssembly.Instance, imports: WebAssembly.Imports = {}): void {
  const given = Object.values(imports).flatMap((module) => Object.values(module));
  for (const value of [...given, ...Object.values(instance.exports)])
    if (value instanceof WebAssembly.Memory) memories.add(value);
}

/** Counts buffers of a device until they are destroyed, or the device is lost with all of them. */
export function countBuffers(device: GPUDevice): void {
  const createBuffer = device.createBuffer.bind(device);
  let alive = 0;
  let lost = false;
  const add = (bytes: number) => {
    if (lost) return;
    alive += bytes;
    gpuBytes += bytes;
  };
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    let destroyed = false;
    add(descriptor.size);
    buffer.destroy = () => {
      if (!destroyed) add(-descriptor.size);
      destroyed = true;
      destroy();
    };
    return buffer;
  };
  void device.lost.then(() => {
    gpuBytes -= alive;
    lost = true;
  });
}

/** @returns bytes */
export function memoryUse(): number {
  let bytes = gpuBytes;
  for (const { buffer } of memories) bytes += buffer.byteLength;
  return bytes;
}
