// Where a graph can be parted: every position of the topological order is a cut, named by the tensors that cross it.
// A cut *is* its set of tensors; all else (which nodes come before it) follows from them. No sizes, no choice here.
import { IsthmusError } from '../errors.ts';
import type { ModelGraph } from './graph.ts';
import { nearest } from './nearest.ts';

/** Tensors that cross a cut, inputs first, then in the order they are made. */
export type CutTensors = readonly string[];

/** Position of a cut in the sweep: after `nodes[after]`. */
export interface CutPoint {
  tensors: CutTensors;
  after: number;
}

/** The name of a cut, as `--cut` and the manifest spell it. */
export const cutName = (tensors: CutTensors): string => tensors.join('+');

const END = Number.POSITIVE_INFINITY;

/** For every tensor that inputs can change: the last node that reads it, `END` for outputs of the model. */
function lastReads(graph: ModelGraph): Map<string, number> {
  const last = new Map<string, number>();
  graph.reads.forEach((names, i) => {
    for (const name of names) if (!graph.constants.has(name)) last.set(name, i);
  });
  for (const { name } of graph.outputs) if (!graph.constants.has(name)) last.set(name, END);
  return last;
}

const isConstant = (graph: ModelGraph, i: number) =>
  graph.nodes[i]!.output.every((o) => !o || graph.constants.has(o));

/**
 * All cuts along the topological order. An output made early, or an input needed late, crosses every cut on its way:
 * each segment alone is a function of the cut before it.
 */
export function sweepCuts(graph: ModelGraph): CutPoint[] {
  const last = lastReads(graph);
  const live = new Set(graph.inputs.map((i) => i.name).filter((name) => last.has(name)));
  const points: CutPoint[] = [];
  graph.nodes.forEach((node, i) => {
    if (isConstant(graph, i)) return;
    for (const name of node.output) if (last.has(name)) live.add(name);
    for (const name of live) if (last.get(name)! <= i) live.delete(name);
    points.push({ tensors: [...live], after: i });
  });
  points.pop(); // after the last node there is no tail
  return points;
}

/** The nodes that compute the given tensors from the inputs; constant nodes belong to both sides and are left out. */
export function headNodes(graph: ModelGraph, tensors: CutTensors): Set<number> {
  const nodes = new Set<number>();
  const stack = [...tensors];
  while (stack.length > 0) {
    const name = stack.pop()!;
    const node = graph.constants.has(name) ? undefined : graph.producer.get(name);
    if (node === undefined || nodes.has(node)) continue;
    nodes.add(node);
    stack.push(...graph.reads[node]!);
  }
  return nodes;
}

/** What the rest of the model needs from `head` and from the inputs. */
function crossing(graph: ModelGraph, head: ReadonlySet<number>): string[] {
  const needed = new Set(graph.outputs.map((o) => o.name));
  graph.reads.forEach((names, i) => {
    if (!head.has(i)) for (const name of names) needed.add(name);
  });
  const made = graph.nodes.flatMap((node, i) => (head.has(i) ? node.output : []));
  return [...graph.inputs.map((i) => i.name), ...made].filter(
    (name) => needed.has(name) && !graph.constants.has(name),
  );
}

/**
 * The cut right behind the named tensors. Tensors from before it that the rest still needs (a skip connection, the
 * input itself, an int64 shape) join it.
 *
 * @throws IsthmusError CUT_INVALID for unknown names (with near ones), constants, and cuts with nothing on one side.
 */
export function cutAt(
  graph: ModelGraph,
  names: readonly string[],
): { tensors: CutTensors; head: Set<number> } {
  const known = [...graph.inputs.map((i) => i.name), ...graph.producer.keys()];
  for (const name of names) {
    if (graph.constants.has(name)) throw invalid(`'${name}' is a constant: it is the same for every input`);
    if (!known.includes(name)) {
      const near = nearest(name, known);
      throw invalid(
        `the model has no tensor '${name}'${near.length ? `; near it are ${near.join(', ')}` : ''}`,
      );
    }
  }
  const head = headNodes(graph, names);
  const tensors = crossing(graph, head);
  const idle = names.filter((name) => !tensors.includes(name));
  if (idle.length > 0) {
    throw invalid(`nothing behind the cut reads '${idle.join("', '")}'; that cut is ${cutName(tensors)}`);
  }
  const rest = graph.nodes.some((_, i) => !head.has(i) && !isConstant(graph, i));
  if (head.size === 0) throw invalid(`no operation lies before '${cutName(names)}'`);
  if (!rest) throw invalid(`no operation lies behind '${cutName(names)}'`);
  return { tensors, head };
}

/**
 * Resolves cuts given by name, in any order, to a chain.
 *
 * @param wanted each a tensor's name, names joined by '+', or a list of names
 * @throws IsthmusError CUT_INVALID, also when two cuts cross each other or are the same.
 */
export function namedCuts(graph: ModelGraph, wanted: readonly (string | readonly string[])[]): CutTensors[] {
  const cuts = wanted.map((entry) =>
    cutAt(graph, typeof entry === 'string' ? splitNames(graph, entry) : entry),
  );
  cuts.sort((a, b) => a.head.size - b.head.size);
  cuts.forEach((cut, i) => {
    const before = cuts[i - 1];
    if (!before) return;
    const [a, b] = [cutName(before.tensors), cutName(cut.tensors)];
    if (a === b) throw invalid(`'${a}' is named twice`);
    if (![...before.head].every((node) => cut.head.has(node))) {
      throw invalid(`'${a}' and '${b}' lie on parallel branches; name them as one cut, joined by '+'`);
    }
  });
  return cuts.map((cut) => cut.tensors);
}

/** A '+' may belong to a tensor's name; the whole text is tried first. */
function splitNames(graph: ModelGraph, text: string): string[] {
  if (graph.producer.has(text)) return [text];
  return text.split('+').map((name) => name.trim());
}

function invalid(what: string): IsthmusError {
  return new IsthmusError(
    'CUT_INVALID',
    `Cannot cut there: ${what}. \`isthmus inspect\` lists the possible cuts.`,
  );
}
