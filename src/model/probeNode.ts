// ShapeProbe on onnxruntime-node, for the command line and for servers; the package is loaded on first use.
import { IsthmusError } from '../errors.ts';
import { type OrtLike, ortProbe, type ShapeProbe } from './probe.ts';

/**
 * Describes a model's outputs with onnxruntime-node.
 *
 * @throws IsthmusError as every {@link ShapeProbe}; OPTION_INVALID when onnxruntime-node is not installed.
 */
export const nodeShapeProbe: ShapeProbe = async (model) => ortProbe(await load(), 'cpu')(model);

/** The package is optional, and bundlers of web pages must not follow it: hence a name they cannot see through. */
async function load(): Promise<OrtLike> {
  const name = 'onnxruntime-node';
  try {
    const module = await import(/* @vite-ignore */ /* webpackIgnore: true */ name);
    return module.default ?? module;
  } catch (cause) {
    throw new IsthmusError(
      'OPTION_INVALID',
      'Splitting models in Node needs onnxruntime-node: run `npm install onnxruntime-node`.',
      { cause },
    );
  }
}
