// The parts of the load benchmark run in processes of their own, so that server, generator and yardstick share no event loop:
// this program again, in a role, spoken with over Node's IPC one question at a time.
import { type ChildProcess, fork } from 'node:child_process';
import { IsthmusError } from '../src/errors.ts';

/** What a role answers; an Error it throws comes back as its message. */
export type Roles = Record<string, (question: never) => Promise<object>>;

export interface Child extends AsyncDisposable {
  ask<Answer>(what: string, question?: object): Promise<Answer>;
}

interface Asked {
  what: string;
  question: object;
}
type Said = { answer: object } | { failed: string };

/** Starts the program that runs now again, as `isthmus bench load --role NAME`. */
export function startRole(name: string, execArgv: string[] = []): Child {
  const child: ChildProcess = fork(process.argv[1]!, ['bench', 'load', '--role', name], {
    execArgv: [...process.execArgv, ...execArgv],
    serialization: 'advanced',
  });
  const gone = new Promise<never>((_, reject) => {
    child.once('exit', (code) =>
      reject(new IsthmusError('INTERNAL', `The ${name} of the benchmark ended (${code}).`)),
    );
  });
  gone.catch(() => undefined);
  return {
    async ask<Answer>(what: string, question: object = {}): Promise<Answer> {
      const said = new Promise<Said>((resolve) => child.once('message', (said) => resolve(said as Said)));
      child.send({ what, question } satisfies Asked);
      const reply = await Promise.race([said, gone]);
      if ('failed' in reply) throw new IsthmusError('INTERNAL', `${name}: ${reply.failed}`);
      return reply.answer as Answer;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || !child.connected) return;
      const exit = new Promise((resolve) => child.once('exit', resolve));
      child.disconnect();
      await exit;
    },
  };
}

/** Serves questions until the parent lets go. */
export async function playRole(roles: Roles, close: () => Promise<void>): Promise<void> {
  process.on('message', async ({ what, question }: Asked) => {
    const said = await (roles[what] as (question: object) => Promise<object>)(question).then(
      (answer): Said => ({ answer }),
      (thrown: unknown): Said => ({
        failed: thrown instanceof Error ? (thrown.stack ?? '') : String(thrown),
      }),
    );
    process.send?.(said);
  });
  await new Promise((resolve) => process.once('disconnect', resolve));
  await close();
}
