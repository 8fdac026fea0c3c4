// Where photos come from: file picker, drop anywhere on the page, paste, samples. Each hands over one Photo and
// the preview shows it. The camera has its own file; decoding and judging the picture is the client's work.
import { IsthmusError, type Session } from '../index.ts';
import { el, part } from './dom.ts';

export interface Photo {
  blob: Blob;
  name: string;
  /** Object URL for the preview and the history; revoked when neither shows it any more. */
  url: string;
}

/** Drawn for this project (src/app/art); the first click works without any picture of one's own. */
const SAMPLES = [
  ['golf-ball', 'Golf ball'],
  ['parachute', 'Parachute'],
  ['church', 'Church'],
  ['gas-pump', 'Gas pump'],
  ['french-horn', 'French horn'],
  ['garbage-truck', 'Garbage truck'],
] as const;

export function asPhoto(blob: Blob, name: string): Photo {
  return { blob, name, url: URL.createObjectURL(blob) };
}

/** Wires every source of photos but the camera. `take` receives each new photo, `fail` what went wrong. */
export function watchPhotos(take: (photo: Photo) => void, fail: (thrown: unknown) => void): void {
  const file = part('file', HTMLInputElement);
  file.addEventListener('change', () => {
    const chosen = file.files?.[0];
    if (chosen) take(asPhoto(chosen, chosen.name));
    file.value = ''; // the same file may be chosen again
  });
  watchDrops((blob) => take(asPhoto(blob, blob.name)));
  document.addEventListener('paste', (event) => {
    const pasted = firstFile(event.clipboardData);
    if (!pasted) return; // text into the address field
    event.preventDefault();
    take(asPhoto(pasted, 'pasted picture'));
  });
  watchPasteButton((blob) => take(asPhoto(blob, 'pasted picture')), fail);
  part('samples', HTMLElement).replaceChildren(
    ...SAMPLES.map(([id, name], i) => {
      const src = `${import.meta.env.BASE_URL}samples/${id}.jpg`;
      const image = el('img', { src, alt: '', width: '100%', loading: 'lazy', decoding: 'async' });
      const sample = el(
        'button',
        {
          type: 'button',
          class: 'sample',
          title: name,
          'aria-label': `Sample: ${name}`,
          'data-testid': `sample-${i}`,
        },
        image,
      );
      sample.setAttribute('aria-pressed', 'false');
      sample.addEventListener('click', () => {
        // The thumbnail has brought the file already; a server that went away is no reason to ask again.
        fetch(src, { cache: 'force-cache' })
          .then((r) => r.blob())
          .then((blob) => {
            take(asPhoto(blob, name));
            sample.setAttribute('aria-pressed', 'true');
          }, fail);
      });
      return sample;
    }),
  );
}

/** Shows the photo, and over it what the model sees of it. */
export function showPhoto(photo: Photo): void {
  for (const s of document.querySelectorAll('.sample')) s.setAttribute('aria-pressed', 'false');
  const image = part('preview-image', HTMLImageElement);
  const frame = part('frame', HTMLElement);
  const show = (visible: boolean) => {
    frame.style.visibility = visible ? 'visible' : 'hidden';
    part('preview', HTMLElement).hidden = !visible;
    part('photo', HTMLElement).classList.toggle('has-photo', visible);
  };
  frame.style.visibility = 'hidden'; // until its proportions are known
  image.onload = () => {
    frame.style.setProperty('--ratio', String(image.naturalWidth / image.naturalHeight));
    show(true);
  };
  image.onerror = () => show(false); // the run says what is wrong with the picture
  image.src = photo.url;
  image.alt = photo.name;
}

/** The crop of the model's preprocessing, as shares of the photo's short side. */
export function showCrop({ preprocess }: Session['manifest']): void {
  const crop = part('crop', HTMLElement);
  const short = preprocess && 'short' in preprocess.resize ? preprocess.resize.short : undefined;
  crop.classList.toggle('whole', short === undefined);
  if (!preprocess || short === undefined) return;
  crop.style.setProperty('--crop-width', String(preprocess.crop[0]! / short));
  crop.style.setProperty('--crop-height', String(preprocess.crop[1]! / short));
}

function firstFile(data: DataTransfer | null): File | undefined {
  return [...(data?.files ?? [])].find((f) => f.type.startsWith('image/')) ?? data?.files[0];
}

function watchDrops(take: (file: File) => void): void {
  const root = document.documentElement;
  let depth = 0;
  const over = (on: number) => {
    depth = Math.max(0, on);
    root.classList.toggle('dragging', depth > 0);
  };
  const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  addEventListener('dragenter', (event) => carriesFiles(event) && over(depth + 1));
  addEventListener('dragleave', (event) => carriesFiles(event) && over(depth - 1));
  addEventListener('dragover', (event) => carriesFiles(event) && event.preventDefault());
  addEventListener('drop', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault(); // or the browser leaves the page to show the file
    over(0);
    const dropped = firstFile(event.dataTransfer);
    if (dropped) take(dropped);
  });
}

/** Phones have no paste key; browsers that let a page read the clipboard get a button. */
function watchPasteButton(take: (blob: Blob) => void, fail: (thrown: unknown) => void): void {
  const paste = part('paste', HTMLButtonElement);
  if (typeof navigator.clipboard?.read !== 'function') {
    paste.hidden = true;
    return;
  }
  paste.addEventListener('click', async () => {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((t) => t.startsWith('image/'));
        if (type) return take(await item.getType(type));
      }
      fail(noPicture('There is no picture on the clipboard. Copy one first, or choose a file.'));
    } catch {
      fail(noPicture('The browser did not let the page read the clipboard. Choose a file instead.'));
    }
  });
}

const noPicture = (sentence: string) => new IsthmusError('INPUT_INVALID', sentence);
