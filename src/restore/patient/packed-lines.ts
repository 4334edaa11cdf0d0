/**
 * Many lines, each of which may be missing, as one text: fifty thousand rows of a plan cost JSON one string and not a
 * hundred thousand.
 *
 *     + line 0A        a line of a table: COPY leaves no newline in it
 *     - 0A             none
 */
import { Failure } from '../../errors.ts'
import { Latin1Text } from '../../repository/canonical-json.ts'

const PRESENT = 0x2b
const ABSENT = 0x2d
const NEWLINE = 0x0a
/** As many are written one by one before calling for help takes less. */
const WRITTEN_LETTERS_MAX = 32

/** A byte a character, whatever the encoding of the database. */
export function packLines(lines: readonly (Uint8Array | null)[]): Latin1Text {
  const bytes = Buffer.allocUnsafe(lines.reduce((sum, line) => sum + packedBytes(line), 0))
  let at = 0
  for (const line of lines) at = packLine(line, bytes, at)
  return new Latin1Text(bytes)
}

export function packedBytes(line: Uint8Array | null): number {
  return 2 + (line?.length ?? 0)
}

/** @returns the position behind it */
export function packLine(line: Uint8Array | null, out: Buffer, at: number): number {
  out[at] = line ? PRESENT : ABSENT
  if (line) out.set(line, at + 1)
  const end = at + packedBytes(line)
  out[end - 1] = NEWLINE
  return end
}

/** As `packLine`, of a line as latin1. */
export function packText(line: string, out: Buffer, at: number): number {
  out[at] = PRESENT
  if (line.length > WRITTEN_LETTERS_MAX) out.write(line, at + 1, 'latin1')
  else for (let letter = 0; letter < line.length; letter += 1) out[at + 1 + letter] = line.charCodeAt(letter)
  const end = at + 2 + line.length
  out[end - 1] = NEWLINE
  return end
}

/** Views of one buffer. @throws repository-damaged when `packed` is not what `packLines` makes of `count` lines */
export function unpackLines(packed: string, count: number, what: string): (Buffer | null)[] {
  const bytes = Buffer.from(packed, 'latin1')
  const lines: (Buffer | null)[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, at)
    const isPresent = bytes[at] === PRESENT
    if (end < 0 || (!isPresent && (bytes[at] !== ABSENT || end !== at + 1))) throw damaged(what)
    lines.push(isPresent ? bytes.subarray(at + 1, end) : null)
    at = end + 1
  }
  if (lines.length !== count) throw damaged(what)
  return lines
}

function damaged(what: string): Failure {
  return new Failure('repository-damaged', `${what} does not hold the rows that it says`, { context: { object: what } })
}
