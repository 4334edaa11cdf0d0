/** The text of a PDF, pages parted by form feeds, by the machine's `pdftotext`; null where there is none. */
import { spawnSync } from 'node:child_process'

export function pdfText(bytes: Uint8Array): string | null {
  const { error, status, stdout } = spawnSync('pdftotext', ['-layout', '-', '-'], { input: bytes })
  return error !== undefined || status !== 0 ? null : stdout.toString('utf8')
}
