/**
 * The changes of a transaction that has not committed yet. Small ones stay in memory; large ones go to a file block by
 * block, so that memory is bounded whatever a transaction writes (P14).
 *
 * Of a transaction that the server sends in pieces, each change carries the number of the subtransaction that made it;
 * when that one is rolled back, its changes are passed over in reading.
 */
import type { RowChange, StreamTable } from '../../change-contract.ts'
import { Spill } from './spill.ts'

/** A transaction with more text than this leaves memory. */
const MEMORY_BYTES_MAX = 8 * 1024 * 1024
const BLOCK_BYTES = 1024 * 1024
/** What a change takes besides its text, roughly. */
const CHANGE_OVERHEAD_BYTES = 64

/** Of an encoded change: kind, table, subtransaction, and the lengths of its two lines. */
const HEADER_BYTES = 17
const NO_LINE = 0xffffffff
const KINDS = ['insert', 'update', 'delete', 'truncate'] as const

interface Counts {
  changes: number
  textBytes: number
}

interface Pieces {
  readonly counts: Map<number, Counts>
  readonly rolledBack: Set<number>
}

export class GatheredChanges implements Disposable {
  readonly #spillDirectory: string
  /** Streamed ones go to the file from the first block on: the server holds them to be large. */
  readonly #memoryBytesMax: number
  #changes: RowChange[] = []
  /** Beside `#changes`; empty in a transaction that is sent whole. */
  #makers: number[] = []
  #heldBytes = 0
  #spill: Spill | null = null
  #changeCount = 0
  #textBytes = 0
  /** Of a transaction that is sent in pieces only: what each subtransaction made, and which of them do not count. */
  readonly #pieces: Pieces | null
  /** As numbered in the file. */
  #tables: StreamTable[] = []

  constructor(spillDirectory: string, options: { readonly isStreamed: boolean }) {
    this.#spillDirectory = spillDirectory
    this.#memoryBytesMax = options.isStreamed ? BLOCK_BYTES : MEMORY_BYTES_MAX
    this.#pieces = options.isStreamed ? { counts: new Map(), rolledBack: new Set() } : null
  }

  get changeCount(): number {
    return this.#changeCount
  }

  get textBytes(): number {
    return this.#textBytes
  }

  /** Whether a file waits to be read. */
  get isSpilled(): boolean {
    return this.#spill !== null
  }

  /** @param maker the subtransaction, 0 in a transaction that is sent whole */
  add(change: RowChange, maker: number): void {
    const bytes = (change.before?.length ?? 0) + (change.after?.length ?? 0)
    this.#changes.push(change)
    if (this.#pieces !== null) this.#makers.push(maker)
    this.#count(maker, bytes)
    this.#heldBytes += bytes + CHANGE_OVERHEAD_BYTES
    if (this.#heldBytes > (this.#spill === null ? this.#memoryBytesMax : BLOCK_BYTES)) this.#spillHeld()
  }

  /** What the subtransaction made does not count. */
  rollBack(maker: number): void {
    const counts = this.#pieces?.counts.get(maker)
    this.#pieces?.rolledBack.add(maker)
    this.#pieces?.counts.delete(maker)
    this.#changeCount -= counts?.changes ?? 0
    this.#textBytes -= counts?.textBytes ?? 0
  }

  /** Once. The file is gone afterwards. */
  async *read(): AsyncGenerator<readonly RowChange[]> {
    try {
      for (let block = 0; block < (this.#spill?.blockCount ?? 0); block += 1) {
        const changes = this.#decode(this.#spill!.read(block))
        if (changes.length > 0) yield changes
      }
      const held = this.#withoutRolledBack()
      if (held.length > 0) yield held
    } finally {
      this[Symbol.dispose]()
    }
  }

  [Symbol.dispose](): void {
    this.#spill?.[Symbol.dispose]()
    this.#changes = []
    this.#makers = []
  }

  #count(maker: number, bytes: number): void {
    this.#changeCount += 1
    this.#textBytes += bytes
    if (this.#pieces === null) return
    const counts = this.#pieces.counts.get(maker)
    if (counts === undefined) this.#pieces.counts.set(maker, { changes: 1, textBytes: bytes })
    else {
      counts.changes += 1
      counts.textBytes += bytes
    }
  }

  #withoutRolledBack(): readonly RowChange[] {
    const rolledBack = this.#pieces?.rolledBack
    if (rolledBack === undefined || rolledBack.size === 0) return this.#changes
    return this.#changes.filter((_, index) => !rolledBack.has(this.#makers[index]!))
  }

  #spillHeld(): void {
    this.#spill ??= new Spill(this.#spillDirectory)
    for (let start = 0; start < this.#changes.length; ) start = this.#spillBlock(this.#spill, start)
    this.#changes = []
    this.#makers = []
    this.#heldBytes = 0
  }

  /** @returns the first change behind the block */
  #spillBlock(spill: Spill, start: number): number {
    let bytes = 0
    let end = start
    while (end < this.#changes.length && (end === start || bytes < BLOCK_BYTES)) {
      const { before, after } = this.#changes[end]!
      bytes += HEADER_BYTES + (before?.length ?? 0) + (after?.length ?? 0)
      end += 1
    }
    const block = Buffer.allocUnsafe(bytes)
    let at = 0
    for (let index = start; index < end; index += 1) at = this.#encode(index, block, at)
    spill.append(block)
    return end
  }

  #encode(index: number, block: Buffer, start: number): number {
    const { kind, table, before, after } = this.#changes[index]!
    let at = block.writeUInt8(KINDS.indexOf(kind), start)
    at = block.writeUInt32LE(this.#numberOf(table), at)
    at = block.writeUInt32LE(this.#makers[index] ?? 0, at)
    at = block.writeUInt32LE(before?.length ?? NO_LINE, at)
    at = block.writeUInt32LE(after?.length ?? NO_LINE, at)
    for (const line of [before, after]) {
      if (line === null) continue
      block.set(line, at)
      at += line.length
    }
    return at
  }

  #numberOf(table: StreamTable): number {
    const known = this.#tables.lastIndexOf(table)
    return known === -1 ? this.#tables.push(table) - 1 : known
  }

  #decode(block: Buffer): RowChange[] {
    const changes: RowChange[] = []
    for (let at = 0; at < block.length; ) {
      const beforeBytes = block.readUInt32LE(at + 9)
      const afterBytes = block.readUInt32LE(at + 13)
      const beforeEnd = at + HEADER_BYTES + (beforeBytes === NO_LINE ? 0 : beforeBytes)
      const afterEnd = beforeEnd + (afterBytes === NO_LINE ? 0 : afterBytes)
      if (!this.#pieces?.rolledBack.has(block.readUInt32LE(at + 5))) {
        changes.push({
          kind: KINDS[block[at]!]!,
          table: this.#tables[block.readUInt32LE(at + 1)]!,
          before: beforeBytes === NO_LINE ? null : block.subarray(at + HEADER_BYTES, beforeEnd),
          after: afterBytes === NO_LINE ? null : block.subarray(beforeEnd, afterEnd),
        })
      }
      at = afterEnd
    }
    return changes
  }
}
