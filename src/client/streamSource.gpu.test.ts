// Sources of frames that only a browser has, where they break: a film that cannot be played, a camera that is gone, a canvas frame
// that is seen through.
import { expect, test } from 'vitest';
import { similarity, thumbnailer } from './similarity.ts';
import { openSource } from './streamSource.ts';

function canvasOf(alpha: number, width = 32, height = 32): HTMLCanvasElement {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d')!;
  context.fillStyle = `rgb(0 0 0 / ${alpha})`;
  context.fillRect(0, 0, width, height);
  return canvas;
}

test('a film that cannot be played says so, before and after its error', async () => {
  const video = document.createElement('video');
  const source = await openSource(video);
  const waiting = source.next();
  video.src = 'data:video/mp4;base64,AAAA';
  await expect(waiting).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  await expect(source.next()).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  source.stop();
  expect(await source.next()).toBeUndefined();
});

test('a track that has ended has no frames, and one that ends meanwhile no more', async () => {
  const [track] = canvasOf(1).captureStream(30).getVideoTracks();
  const source = await openSource(track!);
  const first = await source.next();
  expect(first?.input).toBeInstanceOf(VideoFrame);
  first!.release();
  expect((first!.input as VideoFrame).displayWidth).toBe(0); // closed
  track!.stop();
  expect(await source.next()).toBeUndefined();
  expect(await (await openSource(track!)).next()).toBeUndefined();
  source.stop();
});

test('thumbnails of what can be drawn: over white, by its own size', () => {
  const thumb = thumbnailer();
  const [black, clear] = [thumb(canvasOf(1))!, thumb(canvasOf(0))!];
  expect(similarity(black, clear)).toBeCloseTo(0, 2);
  expect(similarity(clear, thumb(canvasOf(0))!)).toBe(1);
  expect(similarity(black, thumb(canvasOf(1, 64, 32))!)).toBe(0);
  expect(thumb(document.createElement('video'))).toBeUndefined(); // nothing to show yet
});
