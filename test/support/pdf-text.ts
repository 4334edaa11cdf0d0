/** The text of a PDF, pages parted by form feeds, by the machine's `pdftotext`. */
import { spawnSync } from 'node:child_process'

/** Tests of what a PDF says are skipped without it (Debian: poppler-utils). */
export const hasPdfText = spawnSync('pdftotext', ['-v'], { stdio: 'ignore' }).status === 0

export function pdfText(bytes: Uint8Array): string {
  const { error, status, stdout } = spawnSync('pdftotext', ['-layout', '-', '-'], { input: bytes })
  if (error !== undefined || status !== 0) throw new Error('pdftotext cannot read it', { cause: error })
  return stdout.toString('utf8')
}
