// ModelGraph: an ONNX graph made plain: inputs without initialisers, live nodes in topological order, constants known.
// Everything about cuts is computed on it; it neither knows shapes nor changes a node.
import type { GraphProto, NodeProto, ValueInfoProto } from 'onnx-buf';
import { IsthmusError } from '../errors.ts';
import type { OnnxModel } from './onnx.ts';

export interface ModelGraph {
  model: OnnxModel;
  /** Nodes that some output needs, each after everything it reads. */
  nodes: readonly NodeProto[];
  /** For every node the tensors it reads, captures of If, Loop and Scan bodies included. */
  reads: readonly (readonly string[])[];
  /** Inputs the caller must feed: not initialisers, and read by something. */
  inputs: readonly ValueInfoProto[];
  outputs: readonly ValueInfoProto[];
  /** Tensors that no input can change: weights, Constant nodes and what is computed from them alone. */
  constants: ReadonlySet<string>;
  /** Index in `nodes` of the node that makes a tensor. */
  producer: ReadonlyMap<string, number>;
}

/** Nodes whose output differs from run to run are never constant, whatever they read. */
const RANDOM = /^(Random|Bernoulli|Multinomial)/;

/** All outer tensors a node reads. */
function readsOf(node: NodeProto): string[] {
  const names = new Set(node.input.filter(Boolean));
  for (const attribute of node.attribute) {
    const bodies = attribute.g ? [attribute.g, ...attribute.graphs] : attribute.graphs;
    for (const body of bodies) for (const name of captures(body)) names.add(name);
  }
  return [...names];
}

function captures(body: GraphProto): string[] {
  const local = new Set([
    ...body.input.map((i) => i.name),
    ...body.initializer.map((t) => t.name),
    ...body.sparseInitializer.map((t) => t.values?.name ?? ''),
    ...body.node.flatMap((n) => n.output),
  ]);
  return [...body.node.flatMap(readsOf), ...body.output.map((o) => o.name)].filter(
    (name) => !local.has(name),
  );
}

const broken = (what: string) =>
  new IsthmusError('MODEL_INVALID', `This ONNX model is damaged: ${what}. Export it again.`);

/**
 * Builds the plain view of a model.
 *
 * @throws IsthmusError MODEL_INVALID for tensors made twice or by nobody and for cycles; MODEL_UNSUPPORTED when no
 * input reaches an output.
 */
export function buildGraph(model: OnnxModel): ModelGraph {
  const { graph } = model;
  const weights = new Set([
    ...graph.initializer.map((t) => t.name),
    ...graph.sparseInitializer.map((t) => t.values?.name ?? ''),
  ]);
  const fed = graph.input.filter((input) => !weights.has(input.name));
  const sorted = sortNodes(graph, new Set([...weights, ...fed.map((i) => i.name)]));
  const { nodes, reads, used } = dropDead(sorted, graph);

  const constants = new Set(weights);
  nodes.forEach((node, i) => {
    if (RANDOM.test(node.opType) || !reads[i]!.every((name) => constants.has(name))) return;
    for (const name of node.output) if (name) constants.add(name);
  });
  const producer = new Map(
    nodes.flatMap((node, i) => node.output.filter(Boolean).map((name) => [name, i] as const)),
  );
  const inputs = fed.filter((input) => used.has(input.name));
  if (inputs.length === 0) {
    throw new IsthmusError(
      'MODEL_UNSUPPORTED',
      'No input of this model reaches an output, so there is nothing to split. Export it with its inputs.',
    );
  }
  return { model, nodes, reads, inputs, outputs: graph.output, constants, producer };
}

interface Sorted {
  nodes: NodeProto[];
  reads: string[][];
}

/** Depth-first from every node in file order, so a file that is sorted already keeps its order. */
function sortNodes(graph: GraphProto, given: ReadonlySet<string>): Sorted {
  const maker = new Map<string, number>();
  graph.node.forEach((node, i) => {
    for (const name of node.output.filter(Boolean)) {
      if (maker.has(name) || given.has(name)) throw broken(`the tensor '${name}' is made twice`);
      maker.set(name, i);
    }
  });
  const reads = graph.node.map(readsOf);
  const waitsFor = (i: number) =>
    reads[i]!.filter((name) => !given.has(name))
      .map((name) => {
        const source = maker.get(name);
        if (source !== undefined) return source;
        throw broken(`nothing makes the tensor '${name}' that ${title(graph.node[i]!)} reads`);
      })
      .reverse(); // taken from the end: what is read first is placed first

  const order: number[] = [];
  const state = new Uint8Array(graph.node.length); // 0 unseen, 1 on the stack, 2 placed
  for (let root = 0; root < graph.node.length; root++) {
    if (state[root]) continue;
    // Own stack: recursion would overflow on networks of a few thousand layers in a row.
    const stack = [{ node: root, waits: waitsFor(root) }];
    state[root] = 1;
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const next = top.waits.pop();
      if (next === undefined) {
        state[top.node] = 2;
        order.push(top.node);
        stack.pop();
      } else if (state[next] === 1) {
        throw broken(`${title(graph.node[next]!)} waits for its own result`);
      } else if (state[next] === 0) {
        state[next] = 1;
        stack.push({ node: next, waits: waitsFor(next) });
      }
    }
  }
  for (const { name } of graph.output) {
    if (!maker.has(name) && !given.has(name)) throw broken(`nothing makes the output '${name}'`);
  }
  return { nodes: order.map((i) => graph.node[i]!), reads: order.map((i) => reads[i]!) };
}

/** Keeps what the outputs need; walking backwards meets every reader before the maker. */
function dropDead({ nodes, reads }: Sorted, graph: GraphProto): Sorted & { used: Set<string> } {
  const used = new Set(graph.output.map((o) => o.name));
  const live = new Set<number>();
  for (let i = nodes.length - 1; i >= 0; i--) {
    if (!nodes[i]!.output.some((name) => used.has(name))) continue;
    live.add(i);
    for (const name of reads[i]!) used.add(name);
  }
  const keep = (_: unknown, i: number) => live.has(i);
  return { nodes: nodes.filter(keep), reads: reads.filter(keep), used };
}

/** A node in words, for messages: many exporters leave names out. */
function title(node: NodeProto): string {
  return node.name
    ? `${node.opType} '${node.name}'`
    : `the ${node.opType} that makes '${node.output[0] ?? ''}'`;
}
