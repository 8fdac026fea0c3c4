// Weights that an ONNX file keeps in files beside it (`external_data`): found, checked and put back inside.
// Where the files come from is the caller's: a folder in Node (node/externalFiles.ts), picked files in a page.
import type { GraphProto, NodeProto, TensorProto } from 'onnx-buf';
import { IsthmusError } from '../errors.ts';
import type { OnnxModel } from './onnx.ts';

/** Gives the bytes of a file named by the model, relative to the model's folder; undefined when there is none. */
export type ExternalFiles = (location: string) => Promise<Uint8Array | undefined>;

/** TensorProto.DataLocation.EXTERNAL */
const EXTERNAL = 1;

/** Protobuf's limit for one file: a segment could not be written with more weights than that. */
const MOST_BYTES = 2 ** 31 - 1;

const bad = (what: string, cause?: unknown) => new IsthmusError('MODEL_INVALID', what, { cause });

/**
 * Returns the model with all external weights inside; the same object when there are none. Views, no copies.
 *
 * @throws IsthmusError MODEL_INVALID naming the file that is missing, too short, or outside the model's folder;
 * MODEL_UNSUPPORTED above 2 GiB.
 */
export async function inlineExternalData(model: OnnxModel, files?: ExternalFiles): Promise<OnnxModel> {
  const locations = new Set<string>();
  mapTensors(model.graph, (tensor) => {
    if (tensor.dataLocation === EXTERNAL) locations.add(entries(tensor).location);
    return tensor;
  });
  if (locations.size === 0) return model;

  const loaded = new Map<string, Uint8Array>();
  let total = 0;
  for (const location of locations) {
    const bytes = await files?.(location);
    if (!bytes) {
      throw bad(
        `The model keeps weights in '${location}', which is not there. Put that file beside the model.`,
      );
    }
    loaded.set(location, bytes);
    total += bytes.length;
    if (total > MOST_BYTES) {
      throw new IsthmusError(
        'MODEL_UNSUPPORTED',
        `The model's weights are larger than 2 GiB (up to '${location}'), more than one ONNX file holds. Use a smaller model.`,
      );
    }
  }
  return { ...model, graph: mapTensors(model.graph, (tensor) => inlined(tensor, loaded)) };
}

function inlined(tensor: TensorProto, loaded: ReadonlyMap<string, Uint8Array>): TensorProto {
  if (tensor.dataLocation !== EXTERNAL) return tensor;
  const { location, offset, length } = entries(tensor);
  const file = loaded.get(location)!;
  const end = offset + (length ?? file.length - offset);
  if (offset > file.length || end > file.length) {
    throw bad(
      `'${location}' has ${file.length} bytes, but the weight '${tensor.name}' lies at ${offset} to ${end}. ` +
        'Use the weights file that was exported with this model.',
    );
  }
  const rawData = file.subarray(offset, end) as Uint8Array<ArrayBuffer>;
  return { ...tensor, rawData, dataLocation: 0, externalData: [] };
}

/** The location, offset and length of an external tensor, checked: a location must not leave the model's folder. */
function entries(tensor: TensorProto): { location: string; offset: number; length: number | undefined } {
  const map = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const location = map.get('location')?.replace(/^\.\//, '') ?? '';
  if (!location || /^[/\\]|^[A-Za-z]:|\\|\0/.test(location) || location.split('/').includes('..')) {
    throw bad(
      `The weight '${tensor.name}' wants the file '${location}', which is not below the model's folder. ` +
        'Export the model with its weights beside it.',
    );
  }
  return { location, offset: whole(map.get('offset') ?? '0'), length: optional(map.get('length')) };

  function optional(text: string | undefined) {
    return text === undefined ? undefined : whole(text);
  }
  function whole(text: string): number {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
    throw bad(
      `The weight '${tensor.name}' has the offset or length '${text}', no whole number. Export it again.`,
    );
  }
}

/** A graph with every stored tensor replaced, those in attributes and in bodies of If, Loop and Scan included. */
function mapTensors(graph: GraphProto, change: (tensor: TensorProto) => TensorProto): GraphProto {
  return {
    ...graph,
    initializer: graph.initializer.map(change),
    node: graph.node.map((n) => mapNode(n, change)),
  };
}

function mapNode(node: NodeProto, change: (tensor: TensorProto) => TensorProto): NodeProto {
  if (!node.attribute.some((a) => a.t || a.g || a.tensors.length > 0 || a.graphs.length > 0)) return node;
  const attribute = node.attribute.map((a) => ({
    ...a,
    ...(a.t ? { t: change(a.t) } : {}),
    ...(a.g ? { g: mapTensors(a.g, change) } : {}),
    tensors: a.tensors.map(change),
    graphs: a.graphs.map((g) => mapTensors(g, change)),
  }));
  return { ...node, attribute };
}
