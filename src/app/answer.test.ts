import { expect, test } from 'vitest';
import type { Session } from '../index.ts';
import { readable, whatLeft, whatWouldLeave } from './answer.ts';
import { MODES } from './settings.ts';

const manifest = { preprocess: { crop: [128, 128] } } as unknown as Session['manifest'];

test('what left the device is told for every way of running', () => {
  const split = {
    ran: 'split' as const,
    cut: 'neck1',
    preset: 'slicer',
    bytes: { up: 2092, down: 164, raw: 24_576 },
  };
  expect(whatLeft(split, manifest)).toBe(
    'the feature at neck1 (24.6 kB as float32), as a slicer frame of 2.09 kB. The photo itself stayed.',
  );
  expect(whatLeft({ ...split, transport: 'websocket' }, manifest)).toContain('2.09 kB over WebSocket. The');
  const local = { ran: 'local' as const, bytes: { up: 0, down: 0 } };
  expect(whatLeft(local, manifest)).toMatch(/^nothing\./);
  const remote = { ran: 'remote' as const, bytes: { up: 4220, down: 164 } };
  expect(whatLeft(remote, manifest)).toBe('the picture, cropped and scaled to 128×128, as 4.22 kB.');
});

test('a mode that may upload the picture says so before it does', () => {
  for (const [mode] of MODES) {
    const mayUpload = mode !== 'only-local' && mode !== 'only-split';
    expect(whatWouldLeave(mode).includes('picture'), mode).toBe(mayUpload);
  }
});

test('labels lose their WordNet number and their synonyms', () => {
  expect(readable('n03445777 golf ball, golfball')).toBe('golf ball');
  expect(readable('golf_ball')).toBe('golf ball');
  expect(readable('French horn')).toBe('French horn');
});
