/**
 * Sorts any number of rows within a bounded memory: fills a run, sorts it in the kernel, and spills it; all runs are
 * merged at the end, the last one from memory.
 *
 *     text ─→ run (runBytes) ─→ sort ─→ spill ─┐
 *                                              ├─→ merge ─→ rows in order, one by one, within the kernel
 *     text ─→ run            ─→ sort ──────────┘
 *
 * No more than FAN_IN runs are merged at once: when there are more, so many are merged into one run first. Memory is
 * then one run with its keys and order, and FAN_IN blocks with theirs, whatever the size of the table.
 */
import { Failure } from '../../errors.ts'
import { giveKernelBack, type Kernel, takeKernel } from '../kernel/kernel.ts'
import { type BlockRooms, layBlock, parseAgain, parseRun, setSpec, sortBlock } from '../kernel/run.ts'
import type { TreeSpec } from '../tree/spec.ts'
import { type SpillBlock, SpillFile } from './spill-file.ts'

/** Text of a block that is spilled; a larger row is a block by itself. */
const BLOCK_TEXT_BYTES = 192 * 1024
/** A run ends at so many rows for each byte it may have, whatever they hold: each needs some 50 bytes beside its text. */
const RUN_BYTES_PER_ROW = 32
const FAN_IN = 48
/** The kernel asks, before it encodes a key, for the most that any of its fields could need. */
const KEY_ROOM_BYTES = 1024
const NEWLINE = 0x0a

export interface SorterOptions {
  /** Row text held in memory before it is spilled. */
  readonly runBytes: number
  readonly spillDirectory: string
  /** Given the lines of the locator, in a view that is gone on return. */
  readonly onLocatorLines: ((lines: Uint8Array) => void) | null
  /** Which of a thread's kernels to take: the locator's stays small. */
  readonly memory: 'largest' | 'smallest'
  readonly fanIn?: number
}

interface SpilledBlock extends SpillBlock {
  readonly rows: number
  /** What parsing it needs for keys. */
  readonly keyBytes: number
}

/** Rows of a run on their way into a merge. */
interface MergeInput {
  readonly blocks: readonly SpilledBlock[]
  next: number
  readonly rooms: BlockRooms
  readonly keysEnd: number
}

export class RunSorter implements Disposable {
  readonly kernel: Kernel
  readonly #spec: TreeSpec
  readonly #options: SorterOptions
  readonly #text: number
  readonly #rowsMax: number
  #capacity: number
  #used = 0
  #rows = 0
  #spill: SpillFile | null = null
  #runs: SpilledBlock[][] = []
  #inputs = new Map<number, MergeInput>()

  constructor(spec: TreeSpec, options: SorterOptions) {
    this.#spec = spec
    this.#options = options
    this.#rowsMax = Math.max(1, Math.floor(options.runBytes / RUN_BYTES_PER_ROW))
    this.kernel = takeKernel(options.memory)
    setSpec(this.kernel, spec)
    this.#capacity = options.runBytes
    this.#text = this.kernel.allocate(this.#capacity)
  }

  /** Any piece of the stream of lines; lines may be cut anywhere. @throws source-failed, local-disk-full */
  add(chunk: Uint8Array): void {
    const isFull = this.#used + chunk.length > this.#options.runBytes || this.#rows >= this.#rowsMax
    if (isFull && this.#rows > 0) this.#spillRun()
    this.#reserve(this.#used + chunk.length)
    const start = this.#text + this.#used
    this.kernel.write(start, chunk)
    this.#used += chunk.length
    this.#rows += this.kernel.calls.countLines(start, start + chunk.length)
  }

  /** The end of the lines. From here on the kernel's merge gives the rows in order. @throws as `add` */
  startMerge(): void {
    if (this.#textEnd() !== this.#used) {
      throw new Failure('source-failed', `the rows of ${this.#spec.name} end within a row`, {
        context: { table: this.#spec.name },
      })
    }
    const last = this.#rows > 0 ? this.#sortRun(this.#used) : null
    const fanIn = this.#options.fanIn ?? FAN_IN
    while (this.#runs.length > fanIn) {
      const mark = this.kernel.mark()
      const merged = this.#runs.splice(0, fanIn)
      this.#openMerge(merged, null)
      this.#runs.push(this.#spillMerge())
      this.kernel.release(mark)
    }
    this.#openMerge(this.#runs, last)
  }

  /** The block that the merge has used up gets the next rows of its run, or leaves the merge. */
  refill(): void {
    const { calls } = this.kernel
    const input = this.#inputs.get(calls.leastBlock())
    const block = input?.blocks[input.next]
    if (input && block) {
      this.#load(input, block)
      calls.leastMoved()
    } else {
      calls.dropLeast()
    }
  }

  [Symbol.dispose](): void {
    this.#spill?.[Symbol.dispose]()
    giveKernelBack(this.kernel)
  }

  /** Bytes up to the last newline. */
  #textEnd(): number {
    return this.kernel.bytes(this.#text, this.#text + this.#used).lastIndexOf(NEWLINE) + 1
  }

  /** Room for a row that is larger than a run: the text is all there is in memory above itself while it comes in. */
  #reserve(bytes: number): void {
    if (bytes <= this.#capacity) return
    this.#capacity = Math.max(bytes, this.#capacity * 2)
    this.kernel.release(this.#text)
    this.kernel.allocate(this.#capacity)
  }

  #sortRun(textBytes: number): BlockRooms {
    const { kernel } = this
    const { onLocatorLines } = this.#options
    const locatorRoom = onLocatorLines ? kernel.allocate(textBytes) : null
    const rooms = layBlock(kernel, this.#text, this.#text + textBytes, this.#rows)
    const locatorEnd = parseRun(kernel, this.#spec, rooms, locatorRoom)
    if (onLocatorLines && locatorRoom !== null) onLocatorLines(kernel.bytes(locatorRoom, locatorEnd))
    sortBlock(kernel, rooms)
    return rooms
  }

  /** What stands behind the last newline, the beginning of a row, begins the next run. */
  #spillRun(): void {
    const { kernel } = this
    const mark = kernel.mark()
    const end = this.#textEnd()
    this.#openMerge([], this.#sortRun(end))
    this.#runs.push(this.#spillMerge())
    kernel.release(mark)
    const rest = Buffer.from(kernel.bytes(this.#text + end, this.#text + this.#used))
    kernel.write(this.#text, rest)
    this.#used = rest.length
    this.#rows = 0
  }

  /** All rows of the merge, in order, to the spill file. */
  #spillMerge(): SpilledBlock[] {
    const { kernel } = this
    const { calls } = kernel
    this.#spill ??= new SpillFile(this.#options.spillDirectory)
    const blocks: SpilledBlock[] = []
    let roomBytes = BLOCK_TEXT_BYTES
    const room = kernel.allocate(roomBytes)
    let at = room
    calls.beginGather()
    while (calls.mergeSize() > 0) {
      at = calls.gather(at, room + roomBytes)
      if (calls.mergeSize() > 0 && calls.leastIsEmpty()) {
        this.refill()
      } else if (at > room) {
        blocks.push(this.#spillBlock(room, at))
        at = room
        calls.beginGather()
      } else {
        roomBytes = calls.wantedText()
        kernel.release(room)
        kernel.allocate(roomBytes)
      }
    }
    if (at > room) blocks.push(this.#spillBlock(room, at))
    return blocks
  }

  #spillBlock(start: number, end: number): SpilledBlock {
    const { calls } = this.kernel
    const spilled = this.#spill!.append(this.kernel.bytes(start, end))
    const keyBytes = calls.keyBytesGathered() + 2 * calls.longestKeyGathered() + KEY_ROOM_BYTES
    return { ...spilled, rows: calls.rowsGathered(), keyBytes }
  }

  #openMerge(runs: readonly SpilledBlock[][], last: BlockRooms | null): void {
    const { kernel } = this
    kernel.calls.beginMerge(kernel.allocate(4 * (runs.length + 1)))
    this.#inputs = new Map()
    for (const blocks of runs) {
      const input = this.#layInput(blocks)
      this.#inputs.set(input.rooms.block, input)
      this.#load(input, blocks[0]!)
      kernel.calls.addBlock(input.rooms.block)
    }
    if (last) kernel.calls.addBlock(last.block)
  }

  /** Room for any block of the run. */
  #layInput(blocks: readonly SpilledBlock[]): MergeInput {
    const { kernel } = this
    const text = kernel.allocate(Math.max(...blocks.map(({ bytes }) => bytes)))
    const rooms = layBlock(kernel, text, text, Math.max(...blocks.map(({ rows }) => rows)))
    const keyBytes = Math.max(...blocks.map((block) => block.keyBytes))
    kernel.allocate(keyBytes)
    return { blocks, next: 0, rooms, keysEnd: rooms.keys + keyBytes }
  }

  #load(input: MergeInput, block: SpilledBlock): void {
    const text = this.#spill!.read(block)
    this.kernel.write(input.rooms.text, text)
    const rooms = { ...input.rooms, textEnd: input.rooms.text + text.length }
    parseAgain(this.kernel, this.#spec, rooms, input.keysEnd)
    input.next += 1
  }
}
