/**
 * The ledger in its repository.
 *
 *     ledger/entries/<n>        entry n, sealed (ledger/log.ts says what an entry is)
 *     ledger/heads/<size>       after that many entries: the compact range and the last entry's digest, sealed
 *     ledger/checkpoints/<size> the signed checkpoint of that size, readable by anybody (C2SP tlog-checkpoint)
 *
 * Heads make an append cost a few small reads whatever the ledger's age; entries alone decide what is true, and a head
 * that a crash kept from being written is computed again. Two writers that append at once: the store gives entry n to
 * one of them, the other continues behind it.
 */
import { z } from 'zod'
import { Failure } from '../errors.ts'
import { canonicalBytes, parseCanonical } from './canonical-json.ts'
import type { Keyring } from './keyring.ts'
import { LEDGER_CHECKPOINT_PREFIX, LEDGER_ENTRY_PREFIX, LEDGER_HEAD_PREFIX, numbered } from './layout.ts'
import { type Checkpoint, makeCheckpoint, signCheckpoint } from './ledger/checkpoint.ts'
import {
  decodeEntryBytes,
  encodeEntry,
  entryDigest,
  type Ledger,
  type LedgerVerdict,
  type ManifestReference,
  openLedger,
  verifyAgainst,
} from './ledger/log.ts'
import { CompactRange } from './ledger/merkle.ts'
import { type VerifierKey, verifierKeyOf } from './ledger/signed-note.ts'
import { OBJECT_TYPES } from './sealed-object.ts'
import type { SealedStore } from './sealed-store.ts'

const headSchema = z.strictObject({
  size: z.int().positive(),
  hashes: z.array(z.string()),
  lastEntry: z.string(),
  lastSnapshot: z.string(),
})

interface Head {
  readonly range: CompactRange
  /** SHA-256 of the last entry's bytes, or null in an empty ledger. */
  readonly lastEntry: string | null
  readonly lastSnapshot: string | null
}

export interface ExpectedState {
  readonly size: number
  /** Canonical JSON of the head. */
  readonly head: Uint8Array
  readonly root: Uint8Array
}

const EMPTY_HEAD: Head = { range: new CompactRange(), lastEntry: null, lastSnapshot: null }

export class LedgerStore {
  readonly origin: string
  readonly #sealed: SealedStore
  readonly #keyring: Keyring

  constructor(sealed: SealedStore, keyring: Keyring) {
    this.origin = `chartkeep/${keyring.repositoryId}`
    this.#sealed = sealed
    this.#keyring = keyring
  }

  /** With which anybody verifies the ledger's checkpoints; it stands on the recovery sheet. */
  get verifierKey(): VerifierKey {
    return verifierKeyOf(this.origin, this.#keyring.ledgerKey)
  }

  async size(): Promise<number> {
    return (await this.#sealed.names(LEDGER_ENTRY_PREFIX)).length
  }

  /** The snapshot of the last entry, or null. */
  async lastSnapshot(): Promise<string | null> {
    return (await this.#readHead()).lastSnapshot
  }

  /** Of `snapshots`, those that no entry is of. Looks from the newest entry back, no further than it must. */
  async missing(snapshots: readonly string[]): Promise<string[]> {
    const wanted = new Set(snapshots)
    // By number and not by a listing: one that is not whole would have us enter a snapshot twice (F17).
    const { size } = (await this.#readHead()).range
    for (let index = size - 1; index >= 0 && wanted.size > 0; index -= 1) {
      const bytes = await this.#sealed.read(numbered(LEDGER_ENTRY_PREFIX, index), OBJECT_TYPES.ledgerEntry)
      wanted.delete(decodeEntryBytes(bytes, index).entry.snapshot)
    }
    return [...wanted]
  }

  /** Durable on return, with its checkpoint. @returns the checkpoint's note */
  async append(reference: ManifestReference): Promise<string> {
    for (;;) {
      const head = await this.#readHead()
      const index = head.range.size
      const bytes = encodeEntry(reference, head.lastEntry)
      try {
        await this.#sealed.write(numbered(LEDGER_ENTRY_PREFIX, index), OBJECT_TYPES.ledgerEntry, bytes)
      } catch (error) {
        if (error instanceof Failure && error.code === 'object-exists') continue
        throw error
      }
      // A head without its entry would be a hole for ever; without a head, the next writer fills it.
      await this.#confirmEntry(index)
      const grown = extend(head, bytes, index)
      await this.#writeHead(grown)
      return await this.#writeCheckpoint(grown, reference.time)
    }
  }

  /** Every entry, chained and decoded. @throws repository-damaged when one is missing or not what it was */
  async read(): Promise<Ledger> {
    const entries: Uint8Array[] = []
    const names = await this.#sealed.names(LEDGER_ENTRY_PREFIX)
    const missing = names.findIndex((name, index) => name !== numbered(LEDGER_ENTRY_PREFIX, index))
    if (missing >= 0) {
      const expected = numbered(LEDGER_ENTRY_PREFIX, missing)
      throw new Failure('repository-damaged', `ledger entry ${expected} is missing`, { context: { object: expected } })
    }
    for await (const bytes of this.#sealed.readAll(names, OBJECT_TYPES.ledgerEntry)) entries.push(bytes)
    return openLedger(this.origin, entries)
  }

  /** What happened to the ledger since somebody kept `checkpoints`. @throws repository-damaged, store-… */
  async since(checkpoints: readonly Checkpoint[]): Promise<LedgerVerdict> {
    return verifyAgainst(await this.read(), ...checkpoints)
  }

  /**
   * What the head and the checkpoint of every size must say, sizes 1, 2, …: the entries decide, and a wrong head would
   * lead the next append astray. One walk, because a root for each of ten years' sizes by itself would take hours.
   */
  *expectedStates(ledger: Ledger): Generator<ExpectedState> {
    let head = EMPTY_HEAD
    for (const [index, { bytes }] of ledger.entries.entries()) {
      head = extend(head, bytes, index)
      yield { size: index + 1, head: encodeHead(head), root: head.range.root() }
    }
  }

  /** The current head, signed now. */
  async checkpoint(time: string): Promise<{ checkpoint: Checkpoint; note: string }> {
    const { range } = await this.#readHead()
    const checkpoint = makeCheckpoint({ origin: this.origin, size: range.size, root: range.root(), time })
    return { checkpoint, note: this.#sign(checkpoint) }
  }

  async #confirmEntry(index: number): Promise<void> {
    const name = numbered(LEDGER_ENTRY_PREFIX, index)
    if (await this.#sealed.store.stat(name)) return
    throw new Failure('store-lied', `the store confirmed object ${name}, which is not there`, {
      context: { object: name },
      hints: ['The snapshot itself is whole. Run `chartkeep backup` again: it enters what the ledger lacks.'],
    })
  }

  async #readHead(): Promise<Head> {
    const newest = (await this.#sealed.names(LEDGER_HEAD_PREFIX)).at(-1)
    let head = EMPTY_HEAD
    if (newest !== undefined) {
      const parsed = headSchema.safeParse(
        parseCanonical(await this.#sealed.read(newest, OBJECT_TYPES.ledgerHead), newest),
      )
      if (!parsed.success) {
        throw new Failure('repository-damaged', `object ${newest} is not a ledger head`, {
          context: { object: newest },
        })
      }
      const { lastEntry, lastSnapshot, ...state } = parsed.data
      head = { range: CompactRange.fromState(state), lastEntry, lastSnapshot }
    }
    // Entries that a crash left without their head.
    for (;;) {
      const name = numbered(LEDGER_ENTRY_PREFIX, head.range.size)
      if (!(await this.#sealed.store.stat(name))) return head
      head = extend(head, await this.#sealed.read(name, OBJECT_TYPES.ledgerEntry), head.range.size)
    }
  }

  async #writeHead(head: Head): Promise<void> {
    const { size } = head.range
    const plain = encodeHead(head)
    await this.#sealed.write(numbered(LEDGER_HEAD_PREFIX, size), OBJECT_TYPES.ledgerHead, plain).catch(unlessThere)
  }

  async #writeCheckpoint(head: Head, time: string): Promise<string> {
    const { size } = head.range
    const note = this.#sign(makeCheckpoint({ origin: this.origin, size, root: head.range.root(), time }))
    await this.#sealed.store.put(numbered(LEDGER_CHECKPOINT_PREFIX, size), Buffer.from(note)).catch(unlessThere)
    return note
  }

  #sign(checkpoint: Checkpoint): string {
    return signCheckpoint(checkpoint, [{ name: this.origin, privateKey: this.#keyring.ledgerKey }])
  }
}

function encodeHead({ range, lastEntry, lastSnapshot }: Head): Uint8Array {
  return canonicalBytes({ ...range.toState(), lastEntry, lastSnapshot })
}

function extend(head: Head, bytes: Uint8Array, index: number): Head {
  const { entry, leafHash } = decodeEntryBytes(bytes, index)
  if (entry.previous !== head.lastEntry) {
    throw new Failure('repository-damaged', `ledger entry ${index} does not continue the one before`, {
      context: { index },
    })
  }
  const range = CompactRange.fromState(head.range.toState())
  range.append(leafHash)
  return { range, lastEntry: entryDigest(bytes), lastSnapshot: entry.snapshot }
}

/** Another writer was faster with the same bytes. */
function unlessThere(error: unknown): void {
  if (!(error instanceof Failure && error.code === 'object-exists')) throw error
}
