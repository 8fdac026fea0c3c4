// How much memory a call asks for: every byte of every typed array and buffer it makes, counted where they are made, whether
// or not they are garbage by its end, plus what WebAssembly memory grows by, plus what the JavaScript heap grows by. Counts
// are exact but for the heap, which is read before and after. Only tests import it.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const NAMES = [
  'ArrayBuffer',
  'Uint8Array',
  'Int8Array',
  'Uint8ClampedArray',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
] as const;
type Bytes = { byteLength: number };
type Globals = Record<string, unknown>;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

export interface Allocation<T> {
  value: T;
  /** Buffers, WebAssembly memory and heap together. */
  bytes: number;
  buffers: number;
  kernels: number;
  heap: number;
}

/**
 * Runs `action`, which must not wait for anything, under the counter.
 *
 * @param collect first clears away earlier garbage, which otherwise may hide some of the heap's growth
 */
export function measureAllocation<T>(action: () => T, collect = true): Allocation<T> {
  let buffers = 0;
  let kernels = 0;
  const restore = [
    ...NAMES.map((name) => countConstructor(name, (made) => (buffers += made))),
    ...['slice', 'map', 'filter'].map((name) =>
      countMethod(
        Object.getPrototypeOf(Uint8Array.prototype),
        name,
        ({ byteLength }: Bytes) => (buffers += byteLength),
      ),
    ),
    countMethod(ArrayBuffer.prototype, 'slice', ({ byteLength }: Bytes) => (buffers += byteLength)),
    countMethod(WebAssembly.Memory.prototype, 'grow', (_, pages) => (kernels += 65_536 * pages)),
    countInstances((memory) => (kernels += memory)),
  ];
  try {
    if (collect) collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const value = action();
    const heap = Math.max(0, process.memoryUsage().heapUsed - before);
    return { value, buffers, kernels, heap, bytes: buffers + kernels + heap };
  } finally {
    for (const undo of restore) undo();
  }
}

/** A constructor that has its bytes counted unless it is given a buffer, of which it is a view. */
function countConstructor(name: (typeof NAMES)[number], count: (bytes: number) => void): () => void {
  const globals = globalThis as unknown as Globals;
  const original = globals[name] as new (...parts: unknown[]) => Bytes;
  globals[name] = new Proxy(original, {
    construct(target, parts, newTarget) {
      const made = Reflect.construct(
        target,
        parts,
        newTarget === globals[name] ? target : newTarget,
      ) as Bytes;
      if (!(parts[0] instanceof ArrayBuffer)) count(made.byteLength);
      return made;
    },
  });
  return () => {
    globals[name] = original;
  };
}

/** A method whose result, and first argument, are told to `count`. */
function countMethod<R>(
  owner: object,
  name: string,
  count: (result: R, argument: number) => void,
): () => void {
  const methods = owner as Record<string, (...parts: unknown[]) => unknown>;
  const original = methods[name]!;
  methods[name] = function (this: unknown, ...parts) {
    const result = original.apply(this, parts);
    count(result as R, parts[0] as number);
    return result;
  };
  return () => {
    methods[name] = original;
  };
}

/** The memory that a fresh instance of the kernels begins with. */
function countInstances(count: (bytes: number) => void): () => void {
  const original = WebAssembly.Instance;
  WebAssembly.Instance = new Proxy(original, {
    construct(target, parts) {
      const made = Reflect.construct(target, parts) as WebAssembly.Instance;
      const { memory } = made.exports;
      if (memory instanceof WebAssembly.Memory) count(memory.buffer.byteLength);
      return made;
    },
  });
  return () => {
    WebAssembly.Instance = original;
  };
}
