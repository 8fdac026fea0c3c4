// The settings as a table of docs/operations.md, made from the schema; a test holds the page against it.
import { FACTS } from './settings.ts';

/** Markdown, without a line break at its end. */
export function settingsTable(): string {
  const rows = FACTS.map(({ name, variable, flag, about, default: value, live }) => [
    `\`${name}\`${live ? ' ↻' : ''}`,
    `\`${variable}\``,
    name === 'models' ? 'the argument' : flag === undefined ? '' : `\`${flag}\``,
    value === undefined ? '' : `\`${String(value)}\``,
    about.replaceAll('|', '\\|'),
  ]);
  const head = ['setting', 'environment', 'flag', 'default', 'what it is'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
