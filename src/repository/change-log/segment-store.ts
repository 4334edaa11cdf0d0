/** The segments of one log by number: fetched, opened, and which is the newest. What they must be is for the chain to say. */
import { Failure } from '../../errors.ts'
import { sha256 } from '../crypto/provider.ts'
import { segmentKey, segmentOf, segmentPrefix } from '../layout.ts'
import { OBJECT_TYPES } from '../sealed-object.ts'
import type { SealedStore } from '../sealed-store.ts'
import { decodeSegmentHeader } from './segment-codec.ts'
import type { SegmentHeader } from './segment-header.ts'
import { type LogTrim, readTrim } from './trim.ts'

/** A segment without its transactions, as readers and the next segment name it. */
export interface SegmentHead {
  readonly header: SegmentHeader
  /** Of the plaintext, hex. */
  readonly sha256: string
}

export interface OpenedSegment {
  readonly plain: Uint8Array
  /** Hex. */
  readonly sha256: string
}

interface KeptSegment extends OpenedSegment {
  readonly number: number
  readonly stored: Uint8Array
}

/** A moment is looked for in a few segments, again and again: to find it, to say when it was, to read up to it. */
const SEGMENTS_KEPT = 3

export class SegmentStore {
  readonly logId: string
  readonly #sealed: SealedStore
  /** Opened last. */
  readonly #kept: KeptSegment[] = []

  constructor(sealed: SealedStore, logId: string) {
    this.#sealed = sealed
    this.logId = logId
  }

  nameOf(number: number): string {
    return segmentKey(this.logId, number)
  }

  /** Where the log begins, when its beginning is not kept any more. @throws repository-damaged, store-… */
  async trim(): Promise<LogTrim | null> {
    return await readTrim(this.#sealed, this.logId)
  }

  /** As stored. @throws object-missing, store-… */
  async fetch(number: number): Promise<Uint8Array> {
    return await this.#sealed.store.get(this.nameOf(number))
  }

  async stat(number: number): Promise<boolean> {
    return (await this.#sealed.store.stat(this.nameOf(number))) !== null
  }

  /** The same bytes are opened once, as long as little else is opened. @throws repository-damaged, repository-format */
  open(number: number, stored: Uint8Array): OpenedSegment {
    const known = this.#kept.find((kept) => kept.number === number && Buffer.compare(kept.stored, stored) === 0)
    if (known) return known
    const plain = this.#sealed.open(this.nameOf(number), OBJECT_TYPES.segment, stored)
    const opened = { number, stored, plain, sha256: hexDigest(plain) }
    this.#kept.push(opened)
    if (this.#kept.length > SEGMENTS_KEPT) this.#kept.shift()
    return opened
  }

  /** @throws object-missing, repository-damaged, repository-format, store-… */
  async readHead(number: number): Promise<SegmentHead> {
    const { plain, sha256 } = this.open(number, await this.fetch(number))
    return { header: decodeSegmentHeader(plain, `object ${this.nameOf(number)}`), sha256 }
  }

  /** Durable on return. @throws object-exists, store-… */
  async put(number: number, plain: Uint8Array): Promise<void> {
    await this.#sealed.write(this.nameOf(number), OBJECT_TYPES.segment, plain)
  }

  /** Numbers that the store lists, ascending. A listing may lack what was put last (F17). */
  async numbers(): Promise<number[]> {
    const names = await this.#sealed.names(segmentPrefix(this.logId))
    return names.flatMap((name) => segmentOf(name)?.number ?? []).sort((a, b) => a - b)
  }

  /**
   * The highest number that is there, or −1. `known`: one that is there, so that nothing need be listed. Whatever the
   * listing says, the next number is asked for by name before the end is believed (F17).
   */
  async newest(known: number | null = null): Promise<number> {
    const from = known ?? (await this.numbers()).at(-1) ?? -1
    let step = 1
    let there = from
    while (await this.stat(there + step)) {
      there += step
      step *= 2
    }
    // `there` is there, `there + step` is not.
    for (let missing = there + step; missing - there > 1; ) {
      const middle = Math.floor((there + missing) / 2)
      if (await this.stat(middle)) there = middle
      else missing = middle
    }
    return there
  }
}

export function hexDigest(plain: Uint8Array): string {
  return Buffer.from(sha256(plain)).toString('hex')
}

export function isMissing(error: unknown): boolean {
  return error instanceof Failure && error.code === 'object-missing'
}
