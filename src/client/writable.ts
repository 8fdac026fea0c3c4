// What this device can write uploads as: asked once, behind the back of the run that first wants to know, and JPEG alone until the
// answer is here. How it is found out is the runtime's business (src/head/upload.ts, src/head/node/nodeImage.ts).
import type { HeadRuntime } from '../head/runtime.ts';

type Formats = Awaited<ReturnType<NonNullable<HeadRuntime['formats']>>>;

/** @returns tells what is known, and asks where nobody has; a runtime that fails to answer is asked again the next time */
export function createWritable(formats: HeadRuntime['formats']): () => Formats {
  let known: Formats = ['jpeg'];
  let asked = formats === undefined;
  return () => {
    if (!asked) {
      asked = true;
      formats!().then(
        (answer) => {
          known = answer;
        },
        () => {
          asked = false;
        },
      );
    }
    return known;
  };
}
