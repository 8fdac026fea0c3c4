// Several answers to one POST: reply messages one after another (FORMAT.md, "Links"), each sent when it is ready. It only carries
// them; what they are is infer/service.ts.
import { IsthmusError } from '../../errors.ts';
import { writeMessage } from '../../wire/message.ts';
import type { Sent } from '../context.ts';
import { type Answered, answerBytes, type Emit } from '../infer/answer.ts';

export interface FirstAnswer {
  answer: Answered;
  /** All answers, this one included, where others follow. */
  all: ReadableStream<Uint8Array> | undefined;
  /** Resolves after the last of them. */
  rest: Promise<Sent>;
}

/** The request has no id here: it is the only one. */
const ONLY = 1;

/**
 * Waits for the first answer; an error before it is thrown as ever, one behind it breaks the stream off.
 *
 * @param work answers through what it is given, until the one that says that none follows
 * @param encoded told what the writing of each took
 */
export function firstAnswer(
  work: (emit: Emit) => Promise<void>,
  encoded: (ms: number) => void,
): Promise<FirstAnswer> {
  return new Promise((resolve, reject) => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    let begun = false;
    let bytes = 0;
    let sent: (sum: Sent) => void = () => undefined;
    const rest = new Promise<Sent>((done) => {
      sent = done;
    });
    const emit: Emit = (answer) => {
      if (!begun) {
        begun = true;
        if (!answer.more) return resolve({ answer, all: undefined, rest });
        const all = new ReadableStream<Uint8Array>({
          start: (c) => {
            controller = c;
          },
          cancel: () => {
            controller = undefined; // the request's signal stops the work
          },
        });
        resolve({ answer, all, rest });
      }
      if (!controller) return;
      const encoding = performance.now();
      const message = writeMessage('reply', ONLY, { more: answer.more, body: answerBytes(answer) });
      encoded(performance.now() - encoding);
      bytes += message.byteLength;
      controller.enqueue(message);
      if (!answer.more) controller.close();
    };
    work(emit).then(
      () => {
        sent({ bytes });
        reject(new IsthmusError('INTERNAL', 'The request ended without an answer; please report it.'));
      },
      (thrown: unknown) => {
        sent({ bytes, thrown });
        if (begun) controller?.error(thrown);
        else reject(thrown);
      },
    );
  });
}
