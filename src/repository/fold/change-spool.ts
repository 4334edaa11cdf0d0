/**
 * Changes of many tables, put aside by table while the log is read once. What does not fit into memory goes to a spill
 * file (build/spill-file.ts): encrypted under a key that dies with the process.
 *
 *     for each change: kind (1) · varint seq · varint transaction · varint before · before · varint after · after
 *
 * A length is one more than it says; 0 stands for a line that is not there.
 */
import { type SpillBlock, SpillFile } from '../build/spill-file.ts'
import type { LoggedChange, LogTable } from '../change-log/change.ts'
import { ByteReader, ByteWriter } from '../tree/varint.ts'
import type { FoldChange } from './fold-change.ts'

const KINDS = ['insert', 'update', 'delete', 'truncate'] as const
const BLOCK_BYTES = 1024 * 1024
const FIRST_BYTES = 4096

interface TableSpool {
  readonly table: LogTable
  readonly blocks: (Uint8Array | SpillBlock)[]
  open: ByteWriter
}

export class ChangeSpool implements Disposable {
  readonly #directory: string
  readonly #memoryBytes: number
  readonly #tables = new Map<string, TableSpool>()
  #file: SpillFile | null = null
  #inMemory = 0

  constructor(directory: string, memoryBytes: number) {
    this.#directory = directory
    this.#memoryBytes = memoryBytes
  }

  get tableNames(): string[] {
    return [...this.#tables.keys()]
  }

  /** @throws local-disk-full */
  add(change: LoggedChange, seq: number, transaction: number): void {
    const spool = this.#spool(change.table)
    const { open } = spool
    const start = open.length
    open.byte(KINDS.indexOf(change.kind))
    open.varint(seq)
    open.varint(transaction)
    putLine(open, change.before)
    putLine(open, change.after)
    this.#inMemory += open.length - start
    if (open.length >= BLOCK_BYTES) seal(spool)
    if (this.#inMemory > this.#memoryBytes) this.#spill()
  }

  /** In the order in which they were added; may be read once, when all are there. @throws local-disk-full */
  async *changesOf(name: string): AsyncGenerator<readonly FoldChange[]> {
    const spool = this.#tables.get(name)
    if (!spool) return
    seal(spool)
    for (let block = spool.blocks.shift(); block; block = spool.blocks.shift()) {
      yield changesIn(this.#bytesOf(block), spool.table)
    }
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]()
  }

  /** As `changesOf`, and everything is kept: for whoever looks for the changes of a few rows, again and again. */
  *look(name: string): Generator<readonly FoldChange[]> {
    const spool = this.#tables.get(name)
    if (!spool) return
    seal(spool)
    for (const block of spool.blocks) yield changesIn(this.#bytesOf(block), spool.table)
  }

  /** A spilled block comes as a view that the next one overwrites, and lines of it are kept. */
  #bytesOf(block: Uint8Array | SpillBlock): Uint8Array {
    return block instanceof Uint8Array ? block : Uint8Array.from(this.#file!.read(block))
  }

  #spool(table: LogTable): TableSpool {
    const known = this.#tables.get(table.name)
    if (known) return known
    const spool = { table, blocks: [], open: new ByteWriter(FIRST_BYTES) }
    this.#tables.set(table.name, spool)
    return spool
  }

  #spill(): void {
    this.#file ??= new SpillFile(this.#directory)
    for (const spool of this.#tables.values()) {
      seal(spool)
      for (const [index, block] of spool.blocks.entries()) {
        if (block instanceof Uint8Array) spool.blocks[index] = this.#file.append(block)
      }
    }
    this.#inMemory = 0
  }
}

function seal(spool: TableSpool): void {
  if (spool.open.length === 0) return
  spool.blocks.push(spool.open.done())
  spool.open = new ByteWriter(FIRST_BYTES)
}

function putLine(out: ByteWriter, line: Uint8Array | null): void {
  out.varint(line === null ? 0 : line.length + 1)
  if (line) out.bytes(line)
}

function changesIn(bytes: Uint8Array, table: LogTable): FoldChange[] {
  const reader = new ByteReader(bytes, 'a spool of changes')
  const changes: FoldChange[] = []
  while (reader.rest > 0) {
    const kind = KINDS[reader.byte()]!
    const seq = reader.varint()
    const transaction = reader.varint()
    changes.push({ kind, table, seq, transaction, before: takeLine(reader), after: takeLine(reader) })
  }
  return changes
}

function takeLine(reader: ByteReader): Uint8Array | null {
  const length = reader.varint()
  return length === 0 ? null : reader.bytes(length - 1)
}
