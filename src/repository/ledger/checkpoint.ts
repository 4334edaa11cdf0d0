/**
 * Checkpoints (C2SP tlog-checkpoint, v1.0.0): the ledger's head as the text of a signed note. Whoever keeps one can
 * later ask for a proof that history was not rewritten.
 *
 *     <origin>                     which ledger: unique to the repository, and the name of its signing key
 *     <size>                       entries, in decimal
 *     <root>                       base64 of the Merkle root (32 bytes)
 *     time 2026-03-01T10:15:00Z    extension line: when it was signed, by the signer's clock
 *
 * The specification advises against extension lines because log monitors cannot audit them: the time is a statement of
 * the signer, and nothing is decided by it. Lines that we do not know are kept.
 */
import { assert, Failure } from '../../errors.ts'
import { HASH_BYTES } from './merkle.ts'
import { type NoteSigner, type OpenedNote, openNote, signNote, type VerifierKey } from './signed-note.ts'

export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
  /** Extension lines, as they stand. */
  readonly extensions: readonly string[]
}

export interface OpenedCheckpoint extends Checkpoint {
  readonly signedBy: OpenedNote['signedBy']
}

const TIME_PREFIX = 'time '

/** @param time UTC to the second, `2026-03-01T10:15:00Z`. */
export function makeCheckpoint(head: { origin: string; size: number; root: Uint8Array; time: string }): Checkpoint {
  const { origin, size, root, time } = head
  return { origin, size, root, extensions: [`${TIME_PREFIX}${time}`] }
}

/** The note text. @throws defect when `parseCheckpoint` would not give the same checkpoint back. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  const { origin, size, root, extensions } = checkpoint
  const lines = [origin, String(size), Buffer.from(root).toString('base64'), ...extensions]
  const text = `${lines.join('\n')}\n`
  const { problem } = readCheckpoint(text)
  assert(
    problem === null && lines.every((line) => !line.includes('\n')),
    `a checkpoint that can be written: ${problem}`,
  )
  return text
}

/** @throws signature-refused when `text` is not a checkpoint: no signature makes it one. */
export function parseCheckpoint(text: string): Checkpoint {
  const read = readCheckpoint(text)
  if (read.problem !== null) throw refused(read.problem)
  return read.checkpoint
}

export function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): string {
  return signNote(formatCheckpoint(checkpoint), signers)
}

/**
 * A checkpoint of the ledger `origin`, signed by that ledger. A signature by another known key (a witness) is not
 * enough: the key's name must be the origin.
 * @throws signature-refused
 */
export function openCheckpoint(
  note: string | Uint8Array,
  keys: readonly VerifierKey[],
  origin: string,
): OpenedCheckpoint {
  const { text, signedBy } = openNote(note, keys)
  const checkpoint = parseCheckpoint(text)
  if (checkpoint.origin !== origin) throw refused(`it is of ledger ${checkpoint.origin}, wanted ${origin}`)
  if (!signedBy.some((key) => key.name === origin)) {
    throw refused(`it is signed by ${signedBy.map((key) => key.name).join(', ')} and not by ${origin} itself`)
  }
  return { ...checkpoint, signedBy }
}

/** When it was signed, or null when it does not say so in our way. */
export function checkpointTime(checkpoint: Checkpoint): string | null {
  const times = checkpoint.extensions.filter((line) => line.startsWith(TIME_PREFIX))
  const time = times.length === 1 ? times[0]!.slice(TIME_PREFIX.length) : null
  return time !== null && isTime(time) ? time : null
}

/** A moment that exists, in the one spelling used here. */
export function isTime(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return false
  const atMs = Date.parse(text)
  return !Number.isNaN(atMs) && new Date(atMs).toISOString() === text.replace('Z', '.000Z')
}

type Read = { readonly problem: null; readonly checkpoint: Checkpoint } | { readonly problem: string }

function readCheckpoint(text: string): Read {
  const lines = text.split('\n')
  if (lines.pop() !== '' || lines.length < 3) return { problem: 'it has not three lines that end with a newline' }
  if (lines.includes('')) return { problem: 'it has an empty line' }

  const [origin, sizeText, rootText, ...extensions] = lines as [string, string, string, ...string[]]
  const size = Number(sizeText)
  if (!/^(0|[1-9]\d{0,15})$/.test(sizeText) || !Number.isSafeInteger(size)) {
    return { problem: 'its size is not a decimal number up to 2^53 - 1' }
  }
  const root = Buffer.from(rootText, 'base64')
  if (root.length !== HASH_BYTES || root.toString('base64') !== rootText) {
    return { problem: `its root is not ${HASH_BYTES} bytes in base64` }
  }
  return { problem: null, checkpoint: { origin, size, root: Uint8Array.from(root), extensions } }
}

function refused(problem: string): Failure {
  return new Failure('signature-refused', `not a checkpoint to rely on: ${problem}`, {
    hints: ['Use the checkpoint that this repository signed, and the verifier key of its recovery sheet.'],
  })
}
