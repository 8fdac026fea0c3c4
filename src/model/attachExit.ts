// attachExit: gives a split model an early exit, an ONNX file from a cut's tensors to the model's own outputs. Runs in browsers and
// in Node; it touches neither disk nor network, and when the exit may answer is found out by `isthmus calibrate --exits`.
import { checked, feeds, text, wrong } from './attachments.ts';
import { extractSegment } from './extract.ts';
import { cutIndex, type ExitInfo, type Manifest, sha256Hex, type TensorInfo } from './manifest.ts';
import { infoOf, macsBefore, type OpenOptions, openModel, outputsOf } from './open.ts';

export interface AttachExitOptions extends OpenOptions {
  name: string;
  /** Name or index of the cut that feeds it. */
  cut: string | number;
  /** A model from that cut's tensors, by name, to the outputs of the split model, by name. */
  onnx: Uint8Array;
}

export interface AttachedExit {
  /** With the exit, replacing one of the same name; its id stays. */
  manifest: Manifest;
  /** The exit's file, by a name that follows from its content. */
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

/**
 * The exit has no threshold: it never ends a run by itself before `isthmus calibrate --exits` gave it one.
 *
 * @throws IsthmusError OPTION_INVALID, CUT_INVALID, and what reading an ONNX model throws
 * @example const { manifest, files } = await attachExit(model, { name: 'early', cut: 'relu3', onnx, probe });
 */
export async function attachExit(model: Manifest, options: AttachExitOptions): Promise<AttachedExit> {
  const { name, onnx } = options;
  const cut = cutIndex(model, options.cut);
  const inputs = model.cuts[cut]!.tensors;
  const { outputs } = model;
  const open = await openModel(onnx, options);
  const given = open.graph.inputs.map((input) => infoOf(open, input.name));
  fits(given, inputs, `The exit takes`, `the cut '${model.cuts[cut]!.name}' gives`);
  fits(outputsOf(open), outputs, 'The exit gives', `the model '${model.name}' gives`);
  const { bytes } = extractSegment(open.graph, inputs, outputs, name);
  const sha256 = await sha256Hex(bytes);
  const macs = macsBefore(
    open,
    outputs.map((t) => t.name),
  );
  const file = `exit-${sha256.slice(0, 8)}.onnx`;
  const exit: ExitInfo = { name, cut, file, sha256, bytes: bytes.length, macs, inputs, outputs };
  const others = (model.exits ?? []).filter((e) => e.name !== name);
  const exits = [...others, exit].sort((a, b) => a.cut - b.cut);
  return { manifest: await checked({ ...model, exits }, 'exit'), files: new Map([[file, bytes]]) };
}

/** The model without an exit. @throws IsthmusError OPTION_INVALID with the names there are */
export async function detachExit(model: Manifest, name: string): Promise<Manifest> {
  const { exits = [], ...rest } = model;
  const left = exits.filter((exit) => exit.name !== name);
  if (left.length === exits.length) {
    const names = exits.map((exit) => exit.name).join(', ') || 'none';
    throw wrong(`The model '${model.name}' has no exit '${name}'. Its exits: ${names}.`);
  }
  return checked(left.length > 0 ? { ...rest, exits: left } : rest, 'exit');
}

/** The same tensors by name, type and shape. */
function fits(found: readonly TensorInfo[], wanted: readonly TensorInfo[], has: string, wants: string): void {
  const all = wanted.every((info) => found.some((t) => t.name === info.name && feeds(info, t)));
  if (all && found.length === wanted.length) return;
  throw wrong(`${has} ${list(found)}, ${wants} ${list(wanted)}. Export it with these names and shapes.`);
}

const list = (tensors: readonly TensorInfo[]) => tensors.map((t) => `'${t.name}' ${text(t)}`).join(', ');
