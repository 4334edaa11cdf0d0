/**
 * The ledger: the append-only list of everything that was ever a snapshot. Pure: arrays in, arrays out; where entries
 * and checkpoints are kept is another module's business.
 *
 * An entry is canonical JSON (docs/FORMAT.md, section 13), one for each manifest, never removed, not even when the snapshot
 * is forgotten:
 *
 *     {"manifest":"<sha-256>","previous":"<sha-256>"|null,"snapshot":"<id>","time":"2026-03-01T10:15:00Z"}
 *
 * `previous` is SHA-256 of the bytes of the entry before: the entries alone are a chain that `sha256sum` can follow.
 * The Merkle tree over the entries adds what a chain cannot give: a short proof for somebody who holds one old root.
 *
 * Whoever kept a checkpoint asks `verifyAgainst`. With one old root it can be said *that* the first n entries are not
 * what they were; with several, kept at different sizes, also *between which* the change lies.
 */
import { hash } from 'node:crypto'
import { assert, Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../canonical-json.ts'
import { type Checkpoint, isTime, makeCheckpoint } from './checkpoint.ts'
import { leafHash, merkleRoot, subtreeRoot } from './merkle.ts'
import { verifyConsistency } from './proof.ts'

/** What the ledger says of one snapshot. */
export interface ManifestReference {
  /** Snapshot id: 1 to 100 characters of [A-Za-z0-9._-]. */
  readonly snapshot: string
  /** SHA-256 of the manifest's canonical bytes, lower-case hexadecimal. */
  readonly manifest: string
  /** UTC, to the second. */
  readonly time: string
}

export interface LedgerEntry extends ManifestReference {
  /** SHA-256 of the previous entry's bytes, lower-case hexadecimal; null in the first. */
  readonly previous: string | null
}

export interface EncodedEntry {
  readonly entry: LedgerEntry
  readonly bytes: Uint8Array
  readonly leafHash: Uint8Array
}

/** Every entry, the oldest first, decoded and chained. Made by `openLedger` and `appendEntry` only. */
export interface Ledger {
  readonly origin: string
  readonly entries: readonly EncodedEntry[]
}

export type LedgerVerdict =
  /** Every entry that the checkpoint covers is unchanged; `grewBy` came after it. */
  | { readonly kind: 'consistent'; readonly size: number; readonly grewBy: number }
  /** The ledger is shorter than it was: its newest entries are gone. */
  | {
      readonly kind: 'rolled-back'
      readonly size: number
      readonly checkpointSize: number
      readonly trustedSize: number
    }
  /** The first `checkpointSize` entries are not what they were; the first `trustedSize` are. */
  | { readonly kind: 'rewritten'; readonly size: number; readonly checkpointSize: number; readonly trustedSize: number }
  /** Nothing can be said. */
  | { readonly kind: 'unknown'; readonly reason: string }

/** An entry is about 250 bytes. */
const ENTRY_BYTES_MAX = 4096

/**
 * @param entries the stored bytes, the oldest first; all of them.
 * @throws repository-damaged naming the first entry that is malformed, or does not continue the one before.
 */
export function openLedger(origin: string, entries: readonly Uint8Array[]): Ledger {
  let previous: EncodedEntry | null = null
  const opened = entries.map((bytes, index) => {
    const entry = decodeEntry(bytes, index)
    const expected = previous === null ? null : entryDigest(previous.bytes)
    if (entry.previous !== expected) {
      throw damaged(index, `continues ${entry.previous ?? 'nothing'}, and the entry before it is ${expected ?? 'none'}`)
    }
    previous = encoded(entry, bytes)
    return previous
  })
  return { origin, entries: opened }
}

/**
 * The ledger with one more entry; the given one is unchanged. O(n) in entries: they are appended by the hour.
 * @throws object-exists when the snapshot is in it already, defect when the reference is malformed.
 */
export function appendEntry(ledger: Ledger, reference: ManifestReference): Ledger {
  const { snapshot } = reference
  const taken = ledger.entries.findIndex(({ entry }) => entry.snapshot === snapshot)
  if (taken !== -1) throw new Failure('object-exists', `ledger entry ${taken} is of snapshot ${snapshot} already`)

  const last = ledger.entries.at(-1)
  const bytes = encodeEntry(reference, last === undefined ? null : entryDigest(last.bytes))
  return { ...ledger, entries: [...ledger.entries, decodeEntryBytes(bytes, ledger.entries.length)] }
}

/** The bytes of the entry behind the one of digest `previous`. @throws defect when the reference is malformed */
export function encodeEntry({ snapshot, manifest, time }: ManifestReference, previous: string | null): Uint8Array {
  const problem = referenceProblem({ snapshot, manifest, time })
  assert(problem === null, `a reference fit for the ledger: ${problem}`)
  const entry: LedgerEntry = { snapshot, manifest, previous, time }
  return canonicalBytes(entry)
}

/** One entry by itself; that it continues the one before is the caller's to see. @throws repository-damaged */
export function decodeEntryBytes(bytes: Uint8Array, index: number): EncodedEntry {
  return encoded(decodeEntry(bytes, index), bytes)
}

/** The head as a checkpoint to be signed. @param time UTC to the second. */
export function checkpointOf(ledger: Ledger, time: string): Checkpoint {
  const root = merkleRoot(ledger.entries.map((entry) => entry.leafHash))
  return makeCheckpoint({ origin: ledger.origin, size: ledger.entries.length, root, time })
}

/**
 * What happened to the ledger since `checkpoints` were kept, in any order; those of other ledgers say nothing. The
 * worst is answered: a rewriting before a roll-back, and of rewritings the earliest one that can be told.
 */
export function verifyAgainst(ledger: Ledger, ...checkpoints: readonly Checkpoint[]): LedgerVerdict {
  const ours = checkpoints.filter(({ origin }) => origin === ledger.origin).toSorted((a, b) => a.size - b.size)
  if (ours.length === 0) return { kind: 'unknown', reason: `no checkpoint of ledger ${ledger.origin} was given` }

  const size = ledger.entries.length
  const leaves = ledger.entries.map((entry) => entry.leafHash)
  const trusted: number[] = [0]
  for (const { size: checkpointSize, root } of ours) {
    // Two checkpoints of one size may contradict each other: then that size itself is not trusted.
    const trustedSize = trusted.findLast((proved) => proved < checkpointSize) ?? 0
    if (checkpointSize > size) return { kind: 'rolled-back', size, checkpointSize, trustedSize }
    if (Buffer.compare(subtreeRoot(leaves, 0, checkpointSize), root) !== 0) {
      return { kind: 'rewritten', size, checkpointSize, trustedSize }
    }
    trusted.push(checkpointSize)
  }
  return { kind: 'consistent', size, grewBy: size - trusted.at(-1)! }
}

/**
 * The same question without the entries: two checkpoints and a consistency proof. Only what the checkpoints themselves
 * show is called a rewriting; a proof that fails shows nothing but that it is no proof.
 */
export function verifyGrowth(older: Checkpoint, newer: Checkpoint, proof: readonly Uint8Array[]): LedgerVerdict {
  if (older.origin !== newer.origin) {
    return { kind: 'unknown', reason: `checkpoints are of ledgers ${older.origin} and ${newer.origin}` }
  }
  const sizes = { size: newer.size, checkpointSize: older.size, trustedSize: 0 }
  if (newer.size < older.size) return { kind: 'rolled-back', ...sizes }
  if (newer.size === older.size && Buffer.compare(older.root, newer.root) !== 0) return { kind: 'rewritten', ...sizes }

  const verdict = verifyConsistency({
    first: older.size,
    second: newer.size,
    firstRoot: older.root,
    secondRoot: newer.root,
    proof,
  })
  if (!verdict.ok) return { kind: 'unknown', reason: verdict.reason }
  return { kind: 'consistent', size: newer.size, grewBy: newer.size - older.size }
}

/** @throws history-rewritten unless the verdict is `consistent`. */
export function requireConsistent(origin: string, verdict: LedgerVerdict): void {
  if (verdict.kind === 'consistent') return
  throw new Failure('history-rewritten', `ledger ${origin}: ${describe(verdict)}`, {
    hints: [
      'Keep the checkpoint and the repository as they are: they are evidence.',
      'Run `chartkeep check` here and on the second repository to see which snapshots differ.',
    ],
  })
}

function describe(verdict: Exclude<LedgerVerdict, { kind: 'consistent' }>): string {
  if (verdict.kind === 'unknown') return `continuity cannot be shown: ${verdict.reason}`
  const { size, checkpointSize, trustedSize } = verdict
  if (verdict.kind === 'rolled-back') return `has ${size} entries, and a checkpoint of it has ${checkpointSize}`
  return `at least one of entries [${trustedSize}, ${checkpointSize}) is not what it was when the checkpoint of ${checkpointSize} was signed`
}

function decodeEntry(bytes: Uint8Array, index: number): LedgerEntry {
  const value = parseCanonical(bytes, `ledger entry ${index}`, { bytesMax: ENTRY_BYTES_MAX, depthMax: 1 })
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw damaged(index, 'is not an object')

  const fields: Readonly<Record<string, unknown>> = { ...value }
  const { manifest, previous, snapshot, time } = fields
  if (Object.keys(fields).join() !== 'manifest,previous,snapshot,time') throw damaged(index, 'has other members')
  if (typeof manifest !== 'string' || typeof snapshot !== 'string' || typeof time !== 'string') {
    throw damaged(index, 'has a member of another type')
  }
  if (previous !== null && (typeof previous !== 'string' || !isDigest(previous))) {
    throw damaged(index, 'has a previous that is no SHA-256')
  }
  const problem = referenceProblem({ manifest, snapshot, time })
  if (problem !== null) throw damaged(index, problem)
  return { manifest, previous, snapshot, time }
}

function referenceProblem({ snapshot, manifest, time }: ManifestReference): string | null {
  if (!/^[A-Za-z0-9._-]{1,100}$/.test(snapshot)) return 'has a snapshot that is no snapshot id'
  if (!isDigest(manifest)) return 'has a manifest that is no SHA-256'
  return isTime(time) ? null : 'has a time that is not UTC to the second'
}

function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text)
}

function encoded(entry: LedgerEntry, bytes: Uint8Array): EncodedEntry {
  return { entry, bytes: Uint8Array.from(bytes), leafHash: leafHash(bytes) }
}

/** What the entry behind it names as `previous`. */
export function entryDigest(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}

function damaged(index: number, problem: string): Failure {
  return new Failure('repository-damaged', `ledger entry ${index} ${problem}`, {
    hints: ['Run `chartkeep check` to see what else is damaged; a kept checkpoint shows whether this was on purpose.'],
  })
}
