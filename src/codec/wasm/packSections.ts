// The payload of the WebAssembly slicer encoder from what its main pass left in memory (FORMAT.md, "Payload").
import { blockSize, POSITIONS, type Sections, type SlicerHeader } from '../reference/slicerLayout.ts';
import type { Arena } from './arena.ts';
import type { Classifier } from './classifier.ts';

/** Bytes that the kernels may overwrite behind a section; the sections are written in their order. */
const SLACK = 16;

export function packSections(
  arena: Arena,
  { bitmap, meta, codes }: Classifier,
  total: number,
  { survivors, blocks }: SlicerHeader,
  sections: Sections,
): Uint8Array {
  const payload = arena.take(4 * sections.end + SLACK);
  arena.grow();
  const { kernels } = arena;
  const words = Math.ceil(total / 32);
  if (sections.mode === POSITIONS.bitmap) arena.words(payload, words).set(arena.words(bitmap, words));
  if (sections.mode === POSITIONS.list) kernels.slicerPackPlaces(bitmap, words, sections.indexWidth, payload);
  const idWidth = Math.log2(blocks.length);
  if (idWidth > 0) kernels.slicerPackBits(meta, survivors, idWidth, payload + 4 * sections.ids);
  // Without signs this section is empty, and the codes begin where it would.
  if (sections.codes[0]! > sections.signs)
    kernels.slicerPackSigns(meta, survivors, payload + 4 * sections.signs);
  blocks.forEach(({ width }, j) => {
    const count = blockSize(survivors, blocks.length, j);
    if (count > 0 && width > 0)
      kernels.slicerPackBits(codes[j]!, count, width, payload + 4 * sections.codes[j]!);
  });
  return new Uint8Array(arena.copy(payload, 4 * sections.end));
}
