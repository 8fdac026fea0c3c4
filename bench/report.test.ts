import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeReport } from './report.ts';

test('a file that cannot be written is the option’s fault, not a defect', async () => {
  await expect(writeReport(join(tmpdir(), 'no such folder', 'x.json'), {})).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining('--json') as string,
  });
});
