// The one GPUDevice of the browser's worker: asked for by us, handed to onnxruntime and to our own passes. It also puts
// the adapter into words. Nothing is computed here.
import { IsthmusError } from '../errors.ts';
import { countBuffers } from './memoryUse.ts';
import type { DeviceReport } from './runtime.ts';

export interface GpuHandle {
  device: GPUDevice;
  report: Pick<DeviceReport, 'adapter' | 'software'>;
  /** Set once the device is gone; results read after that are worthless. */
  readonly lost: boolean;
  /** Resolves with the reason when the device is gone. */
  whenLost: Promise<string>;
}

/** Raised to what the adapter has: features of real networks are larger than the defaults allow. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxTextureDimension2D',
] as const satisfies (keyof GPUSupportedLimits)[];

const FEATURES = ['shader-f16', 'subgroups', 'timestamp-query'] as const;

/** @throws IsthmusError WEBGPU_UNAVAILABLE saying what is missing. */
export async function requestGpu(): Promise<GpuHandle> {
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) {
    throw unavailable(
      globalThis.isSecureContext === false
        ? 'this page is not served over https or from localhost'
        : 'this browser has no WebGPU',
    );
  }
  let adapter: GPUAdapter | null;
  let device: GPUDevice;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter) throw unavailable('the browser found no usable adapter');
    device = await adapter.requestDevice({
      label: 'isthmus',
      requiredFeatures: FEATURES.filter((f) => adapter!.features.has(f)),
      requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter!.limits[name]])),
    });
  } catch (thrown) {
    throw IsthmusError.from(thrown, 'WEBGPU_UNAVAILABLE', unavailable('the adapter gave no device').message);
  }
  countBuffers(device);
  let lost = false;
  const whenLost = device.lost.then(({ reason, message }) => {
    lost = true;
    return `${reason}: ${message}`;
  });
  return {
    device,
    report: describeAdapter(adapter),
    whenLost,
    get lost() {
      return lost;
    },
  };
}

/** Vendor, architecture and name, and whether the CPU does the work. */
function describeAdapter(adapter: Pick<GPUAdapter, 'info'>): Pick<DeviceReport, 'adapter' | 'software'> {
  const { vendor, architecture, device, description } = adapter.info;
  const words = [vendor, architecture, description || device].filter((word) => word !== '');
  const name = words.join(' ') || 'an unnamed adapter';
  const software =
    adapter.info.isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|basic render/i.test(name);
  return { adapter: software ? `${name} (software)` : name, software };
}

/** The CPU in words, for the wasm path. */
export function describeCpu(threads: number): string {
  return `WebAssembly, ${threads} ${threads === 1 ? 'thread' : 'threads'} of ${globalThis.navigator?.hardwareConcurrency ?? 'unknown'} cores`;
}

function unavailable(reason: string): IsthmusError {
  return new IsthmusError(
    'WEBGPU_UNAVAILABLE',
    `WebGPU cannot be used: ${reason}. Choose \`device: 'auto'\` or \`'wasm'\`, or switch on hardware acceleration in the browser.`,
  );
}
