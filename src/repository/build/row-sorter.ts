/**
 * Sorts any number of rows within a bounded memory: fills a run, sorts it, and either hands it out (when it was the
 * only one) or spills it and merges all runs at the end.
 *
 *     text ─→ run (runBytes) ─→ sort ─→ spill ─┐
 *                                              ├─→ merge ─→ blocks in order
 *     text ─→ run            ─→ sort ─→ spill ─┘
 */
import { Failure } from '../../errors.ts'
import { BAG_ORDINAL_BYTES, grow, parseRows, type Rows } from '../tree/rows.ts'
import type { TreeSpec } from '../tree/spec.ts'
import { RowsBuilder } from './rows-builder.ts'
import { compareKeys, compareRows, sortedOrder } from './sort-rows.ts'
import { type SpillBlock, SpillFile } from './spill-file.ts'

/** Text of a block handed out or spilled. */
const BLOCK_BYTES = 512 * 1024
const NEWLINE = 0x0a

export interface SorterOptions {
  /** Row text held in memory before it is spilled. */
  readonly runBytes: number
  readonly spillDirectory: string
}

export class RowSorter implements AsyncDisposable {
  readonly #spec: TreeSpec
  readonly #options: SorterOptions
  readonly #spilled: SpillBlock[][] = []
  #run: Buffer
  #used = 0
  #spill: SpillFile | null = null

  constructor(spec: TreeSpec, options: SorterOptions) {
    this.#spec = spec
    this.#options = options
    this.#run = Buffer.allocUnsafe(64 * 1024)
  }

  /** Any piece of the stream of lines; lines may be cut anywhere. */
  async add(chunk: Uint8Array): Promise<void> {
    const needed = this.#used + chunk.length
    if (needed > this.#options.runBytes) await this.#spillRun()
    this.#reserve(this.#used + chunk.length)
    this.#run.set(chunk, this.#used)
    this.#used += chunk.length
  }

  /** All rows in order, in blocks. A bag's keys have their ordinals. @throws duplicate-key */
  async *sorted(): AsyncGenerator<Rows> {
    const last = this.#takeRun(this.#used)
    const runs: AsyncIterator<Rows>[] = this.#spilled.map((blocks) => this.#readBack(blocks))
    runs.push(toAsync(blocksInOrder(last)))
    const finish = this.#spec.key.length === 0 ? new BagOrdinals() : new DistinctKeys(this.#spec.name)
    for await (const block of runs.length === 1 ? iterate(runs[0]!) : mergeRuns(runs)) yield finish.apply(block)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#spill?.[Symbol.asyncDispose]()
  }

  async #spillRun(): Promise<void> {
    const end = this.#run.subarray(0, this.#used).lastIndexOf(NEWLINE) + 1
    if (end === 0) return
    this.#spill ??= await SpillFile.create(this.#options.spillDirectory)
    const blocks: SpillBlock[] = []
    for (const block of blocksInOrder(this.#takeRun(end))) blocks.push(await this.#spill.append(block))
    this.#spilled.push(blocks)
  }

  /** Parses the first `end` bytes and leaves what stands behind them, the beginning of a line, for the next run. */
  #takeRun(end: number): Rows {
    const rows = parseRows(this.#spec, this.#run.subarray(0, end))
    const rest = Buffer.from(this.#run.subarray(end, this.#used))
    this.#run = Buffer.allocUnsafe(Math.max(64 * 1024, rest.length))
    this.#used = rest.copy(this.#run)
    return rows
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#run.length) return
    const wanted = Math.max(bytes, Math.min(this.#run.length * 2, this.#options.runBytes))
    this.#run = grow(this.#run, this.#used, wanted)
  }

  async *#readBack(blocks: readonly SpillBlock[]): AsyncGenerator<Rows> {
    for (const block of blocks) yield await this.#spill!.read(block)
  }
}

function* blocksInOrder(rows: Rows): Generator<Rows> {
  const builder = new RowsBuilder(Math.min(rows.text.length, BLOCK_BYTES * 2))
  for (const row of sortedOrder(rows)) {
    builder.append(rows, row)
    if (builder.textBytes >= BLOCK_BYTES) yield builder.take()
  }
  if (builder.count > 0) yield builder.take()
}

interface RunHead {
  readonly blocks: AsyncIterator<Rows>
  rows: Rows
  row: number
}

/** A heap of the runs by their next row. */
async function* mergeRuns(runs: readonly AsyncIterator<Rows>[]): AsyncGenerator<Rows> {
  const heads: RunHead[] = []
  for (const blocks of runs) {
    const first = await blocks.next()
    if (!first.done) heads.push({ blocks, rows: first.value, row: 0 })
  }
  const before = (a: RunHead, b: RunHead) => compareRows(a.rows, a.row, b.rows, b.row) < 0
  for (let at = (heads.length >> 1) - 1; at >= 0; at -= 1) siftDown(heads, at, before)

  const builder = new RowsBuilder(BLOCK_BYTES * 2)
  while (heads.length > 0) {
    const head = heads[0]!
    builder.append(head.rows, head.row)
    head.row += 1
    if (head.row === head.rows.count && !(await advance(head))) {
      const last = heads.pop()!
      if (heads.length > 0) heads[0] = last
    }
    siftDown(heads, 0, before)
    if (builder.textBytes >= BLOCK_BYTES) yield builder.take()
  }
  if (builder.count > 0) yield builder.take()
}

async function advance(head: RunHead): Promise<boolean> {
  const next = await head.blocks.next()
  if (next.done) return false
  head.rows = next.value
  head.row = 0
  return true
}

function siftDown(heads: RunHead[], start: number, before: (a: RunHead, b: RunHead) => boolean): void {
  let at = start
  for (;;) {
    const left = 2 * at + 1
    const right = left + 1
    let least = at
    if (left < heads.length && before(heads[left]!, heads[least]!)) least = left
    if (right < heads.length && before(heads[right]!, heads[least]!)) least = right
    if (least === at) return
    const moved = heads[at]!
    heads[at] = heads[least]!
    heads[least] = moved
    at = least
  }
}

/** Two rows of one key mean that the read was not consistent, or that the key is none (P4). */
class DistinctKeys {
  readonly #table: string
  #last: Rows | null = null

  constructor(table: string) {
    this.#table = table
  }

  apply(block: Rows): Rows {
    if (this.#last && compareKeys(this.#last, this.#last.count - 1, block, 0) === 0) throw this.#duplicate()
    for (let row = 1; row < block.count; row += 1) {
      if (compareKeys(block, row - 1, block, row) === 0) throw this.#duplicate()
    }
    this.#last = block
    return block
  }

  #duplicate(): Failure {
    return new Failure('duplicate-key', `two rows of ${this.#table} have the same primary key`, {
      context: { table: this.#table },
      hints: ['The primary key\'s index may be damaged: have the DBA run "REINDEX TABLE", then take the backup again.'],
    })
  }
}

/** Numbers the equal rows of a bag, so that every row has a key of its own. */
class BagOrdinals {
  #last: Buffer = Buffer.alloc(0)
  #ordinal = 0

  apply(block: Rows): Rows {
    const keys = Buffer.allocUnsafe(block.keys.length + block.count * BAG_ORDINAL_BYTES)
    const keyStart = new Uint32Array(block.count + 1)
    let at = 0
    for (let row = 0; row < block.count; row += 1) {
      const key = block.keys.subarray(block.keyStart[row], block.keyStart[row + 1])
      this.#ordinal = this.#last.equals(key) ? this.#ordinal + 1 : 0
      this.#last = key
      keyStart[row] = at
      at += key.copy(keys, at)
      at = keys.writeUInt32BE(this.#ordinal, at)
    }
    keyStart[block.count] = at
    return { ...block, keys, keyStart }
  }
}

async function* toAsync(blocks: Iterable<Rows>): AsyncGenerator<Rows> {
  yield* blocks
}

async function* iterate(blocks: AsyncIterator<Rows>): AsyncGenerator<Rows> {
  for (let next = await blocks.next(); !next.done; next = await blocks.next()) yield next.value
}
