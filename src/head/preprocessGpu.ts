// Preprocessing on the GPU: picture to texture, a horizontal pass, then a vertical pass that also crops and normalises
// into the input tensor's buffer. Same tables and same rules as src/image/preprocess.ts, which is also the way out for
// pictures that are larger than a texture may be. Records and submits on its own; onnxruntime reads the buffer after.
import horizontalCode from '../../shaders/preprocessHorizontal.wgsl?raw';
import verticalCode from '../../shaders/preprocessVertical.wgsl?raw';
import { type CropPlan, cropPlan, preprocessImage } from '../image/preprocess.ts';
import type { WeightTable } from '../image/resample.ts';
import type { Preprocess } from '../model/manifest.ts';
import { type Picture, readPixels } from './picture.ts';

const TILE = 8;
/** Cameras deliver one size, galleries a few. */
const KEPT_PLANS = 4;
/** Textures of all kept plans together (64 MiB); the newest is kept whatever its size. */
const KEPT_PIXELS = 2 ** 24;

type Pipelines = Record<'horizontal' | 'vertical', GPUComputePipeline>;

/** Everything that depends on the size of the picture only. */
interface SizedPlan {
  pixels: number;
  texture: GPUTexture;
  buffers: GPUBuffer[];
  horizontal: { bindGroup: GPUBindGroup; rows: number };
  vertical: { bindGroup: GPUBindGroup };
}

export class GpuPreprocessor {
  /** The input tensor: float32 [1, 3, h, w] or [1, h, w, 3]. Overwritten by every `run`. */
  readonly buffer: GPUBuffer;
  readonly shape: readonly number[];
  readonly #device: GPUDevice;
  readonly #spec: Preprocess;
  readonly #pipelines: Pipelines;
  readonly #plans = new Map<string, SizedPlan>();

  private constructor(device: GPUDevice, spec: Preprocess, pipelines: Pipelines) {
    const [width, height] = spec.crop as [number, number];
    this.#device = device;
    this.#spec = spec;
    this.#pipelines = pipelines;
    this.shape = spec.layout === 'NCHW' ? [1, 3, height, width] : [1, height, width, 3];
    this.buffer = device.createBuffer({
      label: 'isthmus input',
      size: Math.ceil((width * height * 12) / 16) * 16,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
  }

  static async create(device: GPUDevice, spec: Preprocess): Promise<GpuPreprocessor> {
    const pipeline = (label: string, code: string) =>
      device.createComputePipelineAsync({
        label,
        layout: 'auto',
        compute: { module: device.createShaderModule({ label, code }), entryPoint: 'main' },
      });
    const [horizontal, vertical] = await Promise.all([
      pipeline('preprocessHorizontal', horizontalCode),
      pipeline('preprocessVertical', verticalCode),
    ]);
    return new GpuPreprocessor(device, spec, { horizontal, vertical });
  }

  /** Submits the work that fills `buffer`. @throws what `cropPlan` throws. */
  run(picture: Picture): void {
    const { width, height } = picture;
    const crop = cropPlan(width, height, this.#spec);
    const limit = this.#device.limits.maxTextureDimension2D;
    const rows = rowCount(crop.vertical);
    const rowBytes = rows * crop.width * 12;
    if (width > limit || height > limit || rowBytes > this.#device.limits.maxStorageBufferBindingSize) {
      const { data } = preprocessImage(readPixels(picture), this.#spec);
      this.#device.queue.writeBuffer(this.buffer, 0, data as Float32Array<ArrayBuffer>);
      return;
    }
    const plan = this.#plan(picture, crop, rows);
    this.#upload(picture, plan.texture);
    const encoder = this.#device.createCommandEncoder({ label: 'preprocess' });
    const pass = encoder.beginComputePass({ label: 'preprocess' });
    pass.setPipeline(this.#pipelines.horizontal);
    pass.setBindGroup(0, plan.horizontal.bindGroup);
    pass.dispatchWorkgroups(Math.ceil(crop.width / TILE), Math.ceil(rows / TILE));
    pass.setPipeline(this.#pipelines.vertical);
    pass.setBindGroup(0, plan.vertical.bindGroup);
    pass.dispatchWorkgroups(Math.ceil(crop.width / TILE), Math.ceil(crop.height / TILE));
    pass.end();
    this.#device.queue.submit([encoder.finish()]);
  }

  destroy(): void {
    for (const key of [...this.#plans.keys()]) this.#forget(key);
    this.buffer.destroy();
  }

  #upload(picture: Picture, texture: GPUTexture): void {
    const size = [picture.width, picture.height];
    if (picture.kind === 'bitmap') {
      this.#device.queue.copyExternalImageToTexture(
        { source: picture.bitmap },
        { texture, colorSpace: 'srgb', premultipliedAlpha: false },
        size,
      );
    } else {
      const { data } = picture.pixels;
      const layout = { bytesPerRow: picture.width * 4 };
      this.#device.queue.writeTexture({ texture }, data as Uint8Array<ArrayBuffer>, layout, size);
    }
  }

  #plan({ width, height }: Picture, crop: CropPlan, rows: number): SizedPlan {
    const key = `${width}×${height}`;
    const known = this.#plans.get(key);
    this.#plans.delete(key); // put back below, as the newest
    const plan = known ?? this.#makePlan(width, height, crop, rows);
    this.#plans.set(key, plan);
    let pixels = [...this.#plans.values()].reduce((sum, p) => sum + p.pixels, 0);
    for (const [old, { pixels: freed }] of [...this.#plans]) {
      if (old === key || (this.#plans.size <= KEPT_PLANS && pixels <= KEPT_PIXELS)) break;
      this.#forget(old);
      pixels -= freed;
    }
    return plan;
  }

  #makePlan(
    width: number,
    height: number,
    { horizontal, vertical, ...crop }: CropPlan,
    rows: number,
  ): SizedPlan {
    const { mean, std, layout, channels } = this.#spec;
    const texture = this.#device.createTexture({
      label: 'isthmus picture',
      size: [width, height],
      format: 'rgba8unorm',
      // RENDER_ATTACHMENT is what copyExternalImageToTexture demands.
      usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT,
    });
    const buffers: GPUBuffer[] = [];
    const keep = (data: Uint32Array | Float32Array | ArrayBuffer, usage: number, label: string) => {
      const buffer = this.#device.createBuffer({
        label,
        size: data.byteLength,
        usage: usage | GPUBufferUsage.COPY_DST,
      });
      this.#device.queue.writeBuffer(buffer, 0, data as ArrayBuffer);
      buffers.push(buffer);
      return buffer;
    };
    const table = ({ start, weights }: WeightTable, axis: string) => [
      keep(start, GPUBufferUsage.STORAGE, `isthmus ${axis} start`),
      keep(weights, GPUBufferUsage.STORAGE, `isthmus ${axis} weights`),
    ];
    const narrowed = this.#device.createBuffer({
      label: 'isthmus narrowed',
      size: rows * crop.width * 12,
      usage: GPUBufferUsage.STORAGE,
    });
    buffers.push(narrowed);
    const firstRow = vertical.start[0]!;
    const horizontalSizes = new Uint32Array([crop.width, rows, firstRow, horizontal.taps]);
    const planar = layout === 'NCHW' ? 1 : 0;
    const verticalSizes = new ArrayBuffer(64);
    new Uint32Array(verticalSizes).set([
      crop.width,
      crop.height,
      firstRow,
      vertical.taps,
      planar,
      channels === 'BGR' ? 1 : 0,
    ]);
    new Float32Array(verticalSizes, 32).set(std.map((s) => 1 / (255 * s)));
    new Float32Array(verticalSizes, 48).set(mean.map((m, i) => -m / std[i]!));
    const group = (pipeline: GPUComputePipeline, resources: (GPUBuffer | GPUTextureView)[]) =>
      this.#device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: resources.map((r, binding) => ({
          binding,
          resource: r instanceof GPUBuffer ? { buffer: r } : r,
        })),
      });
    const uniform = GPUBufferUsage.UNIFORM;
    return {
      pixels: width * height,
      texture,
      buffers,
      horizontal: {
        rows,
        bindGroup: group(this.#pipelines.horizontal, [
          texture.createView(),
          ...table(horizontal, 'horizontal'),
          narrowed,
          keep(horizontalSizes, uniform, 'isthmus horizontal sizes'),
        ]),
      },
      vertical: {
        bindGroup: group(this.#pipelines.vertical, [
          narrowed,
          ...table(vertical, 'vertical'),
          this.buffer,
          keep(verticalSizes, uniform, 'isthmus vertical sizes'),
        ]),
      },
    };
  }

  #forget(key: string): void {
    const plan = this.#plans.get(key);
    this.#plans.delete(key);
    plan?.texture.destroy();
    for (const buffer of plan?.buffers ?? []) buffer.destroy();
  }
}

/** Rows of the picture that the crop reads. */
function rowCount({ start, taps }: WeightTable): number {
  return start[start.length - 1]! + taps - start[0]!;
}
