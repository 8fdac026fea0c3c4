// ShapeProbe on onnxruntime-web's wasm backend, for splitting a model in the page; the package is loaded on first use.
import { ortProbe, type ShapeProbe } from './probe.ts';

/** Describes a model's outputs in the page, with the page's own `ort.env.wasm` (where the wasm file lies). */
export const webShapeProbe: ShapeProbe = async (model) =>
  ortProbe(await import('onnxruntime-web/wasm'), 'wasm')(model);
