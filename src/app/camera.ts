// The camera dialog: live preview, shutter, a second camera where there is one. A refusal, an insecure page or a
// missing camera ends in a sentence and the way to the file picker, never in a dead dialog.
import { part } from './dom.ts';
import { asPhoto, type Photo } from './photo.ts';

const WAITING = 'Waiting for the camera. The browser may ask for permission.';

/** Why the camera does not work, in words that help. */
function cameraAdvice(name: string | undefined): string {
  switch (name) {
    case 'NotAllowedError':
      return 'The browser refused the camera. Allow it in the site settings beside the address bar, or pick a file.';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'No camera was found on this device. Pick a file instead.';
    case 'NotReadableError':
      return 'Another program is using the camera. Close it and open the camera again, or pick a file.';
    case 'Insecure':
      return 'Browsers allow the camera only on https and on localhost. Open the page there, or pick a file.';
    default:
      return 'The camera could not be started. Pick a file instead.';
  }
}

export function watchCamera(take: (photo: Photo) => void): void {
  const dialog = part('camera', HTMLDialogElement);
  const video = part('camera-video', HTMLVideoElement);
  const message = part('camera-message', HTMLElement);
  const shutter = part('camera-shutter', HTMLButtonElement);
  const flip = part('camera-flip', HTMLButtonElement);
  let stream: MediaStream | undefined;
  let facing: 'environment' | 'user' = 'environment';
  let opening = 0;

  const stop = () => {
    opening++; // a camera that is granted only now belongs to nobody
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = undefined;
    video.srcObject = null;
    shutter.disabled = true;
  };
  const say = (text: string) => {
    message.textContent = text;
    message.hidden = text === '';
    dialog.classList.toggle('refused', text !== '' && text !== WAITING);
  };

  async function start() {
    stop();
    const mine = opening;
    if (!navigator.mediaDevices?.getUserMedia) return say(cameraAdvice('Insecure'));
    say(WAITING);
    try {
      const wanted = { video: { facingMode: { ideal: facing }, width: { ideal: 1280 } }, audio: false };
      const granted = await navigator.mediaDevices.getUserMedia(wanted);
      if (mine !== opening) {
        for (const track of granted.getTracks()) track.stop();
        return;
      }
      stream = granted;
      video.srcObject = granted;
      await video.play();
      say('');
      shutter.disabled = false;
      shutter.focus();
      const devices = await navigator.mediaDevices.enumerateDevices();
      flip.hidden = devices.filter((d) => d.kind === 'videoinput').length < 2;
    } catch (thrown) {
      if (mine !== opening) return;
      stop();
      say(cameraAdvice(thrown instanceof Error || thrown instanceof DOMException ? thrown.name : undefined));
    }
  }

  async function shoot() {
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext('2d')!.drawImage(video, 0, 0);
    dialog.close();
    take(asPhoto(await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 }), 'camera picture'));
  }

  part('camera-open', HTMLButtonElement).addEventListener('click', () => {
    dialog.showModal();
    void start();
  });
  part('camera-close', HTMLButtonElement).addEventListener('click', () => dialog.close());
  part('camera-file', HTMLButtonElement).addEventListener('click', () => {
    dialog.close();
    part('file', HTMLInputElement).click();
  });
  flip.addEventListener('click', () => {
    facing = facing === 'user' ? 'environment' : 'user';
    void start();
  });
  shutter.addEventListener('click', () => void shoot());
  dialog.addEventListener('close', stop);
}
