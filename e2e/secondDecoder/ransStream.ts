// A payload of rANS taken apart into its lanes.
import { Bytes } from './bytes.ts';
import { Lane } from './ransCoder.ts';
import { demand } from './refuse.ts';

/** `count` lanes over the whole payload: states, word counts of all but the last, words. */
export function readLanes(payload: Uint8Array, count: number): Lane[] {
  const bytes = new Bytes(payload);
  const states = Array.from({ length: count }, () => bytes.uint(4, 'states'));
  const counts = Array.from({ length: count - 1 }, () => bytes.leb128(4, 'word count'));
  return states.map((state, l) => {
    const size = l < count - 1 ? 2 * counts[l]! : bytes.left;
    demand(size % 2 === 0, 'half a word');
    return new Lane(state, new Bytes(bytes.take(size, 'words')));
  });
}
