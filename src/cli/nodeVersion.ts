// Which Node the command needs. It imports nothing and is written in what old versions can read: it runs before all the rest.

/** As package.json's `engines` has it. */
const LEAST = [22, 12] as const;

/**
 * @param version as `process.versions.node`
 * @returns one sentence for who started the command with too old a Node; undefined where it is new enough
 */
export function nodeTooOld(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > LEAST[0] || (major === LEAST[0] && minor >= LEAST[1])) return undefined;
  return (
    `isthmus: NODE_TOO_OLD: This is Node ${version}; Isthmus needs ${LEAST.join('.')} or later. ` +
    'Install it from https://nodejs.org, or run the command with `npx -p node@24 -p isthmus isthmus …`.'
  );
}
