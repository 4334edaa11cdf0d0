/**
 * The kernel: what is done to every byte of every row, in WebAssembly (assembly/). It has one linear memory, which this
 * side lays out: regions are taken from the bottom up and given back all above a mark. Each is followed by SLACK_BYTES,
 * because the kernel reads and writes up to sixteen bytes beyond what it was asked for.
 *
 * Views of the memory end when it grows: take one, use it, and take another. Whatever must last is copied out.
 */
import { readFileSync } from 'node:fs'

/** Addresses and lengths in bytes; flags are 0 or 1. */
export interface KernelCalls {
  countLines(start: number, end: number): number
  sameBytes(a: number, b: number, length: number): number
  xxh64(start: number, length: number, seed: bigint): bigint
  encodeField(start: number, end: number, out: number): number

  setSpec(fields: number, anchor: number, keys: number, keyFields: number, starts: number): void
  beginParse(block: number, keys: number): void
  parse(block: number, keysEnd: number): number
  keyPosition(): number
  foundFields(): number
  setLocatorRoom(start: number, end: number): void
  locatorPosition(): number

  sort(block: number, room: number): void
  beginGather(): void
  gather(out: number, outEnd: number): number
  rowsGathered(): number
  keyBytesGathered(): number
  longestKeyGathered(): number

  beginMerge(room: number): void
  addBlock(block: number): void
  mergeSize(): number
  leastBlock(): number
  leastIsEmpty(): number
  leastMoved(): void
  dropLeast(): void

  beginTree(): void
  setCut(seed: bigint, scale: number, min: number, max: number): void
  setTextRoom(start: number, end: number): void
  setGroupRoom(start: number, max: number): void
  setAnchorRoom(start: number, end: number): void
  setKeyRoom(start: number, bytes: number): void
  beginLeaf(): void
  fillLeaf(): number
  leafRows(): number
  leafTextEnd(): number
  leafGroups(): number
  lastKeyBytes(): number
  wantedText(): number
  wantedKey(): number

  encodeLeaf(
    text: number,
    textEnd: number,
    rows: number,
    columns: number,
    boundsRoom: number,
    patternRoom: number,
    head: number,
    body: number,
  ): number
  patternRoomBytes(rows: number, columns: number): number
  headEnd(): number
  decodeRoomBytes(rows: number, columns: number, textBytes: number): number
  decodeLeaf(
    encoded: number,
    encodedEnd: number,
    rows: number,
    columns: number,
    textBytes: number,
    columnRoom: number,
    out: number,
  ): number

  groupRows(block: number, groups: number): number
  checkRows(block: number, after: number, afterBytes: number, isLast: number, room: number, roomBytes: number): number
  checkedRow(): number
  checkedKey(): number
  checkedKeyBytes(): number
  sumLines(start: number, end: number, seed: bigint): bigint

  setHmacKey(innerBlock: number, outerBlock: number): void
  hmacEach(messages: number, count: number, out: number): void
}

/** As assembly/parse.ts and assembly/leaf.ts have them. */
export const PARSE = { parsed: 0, keysFull: 1, locatorFull: 2, wrongFields: 3 } as const
export const FILL = {
  cut: 0,
  rowsEnd: 1,
  blockEmpty: 2,
  duplicateKey: 3,
  textFull: 4,
  groupsFull: 5,
  anchorsFull: 6,
  keyFull: 7,
} as const

/** As assembly/check.ts. */
export const CHECK = { inPlace: 0, outOfOrder: 1, cutWithin: 2, notCut: 3 } as const

const PAGE_BYTES = 65_536
/** The kernel's own few constants lie below. */
const BOTTOM = PAGE_BYTES
const SLACK_BYTES = 32
const ALIGNMENT = 16

let module: WebAssembly.Module | null = null

export class Kernel {
  readonly calls: KernelCalls
  readonly #memory: WebAssembly.Memory
  #top = BOTTOM

  constructor() {
    module ??= new WebAssembly.Module(readFileSync(new URL('kernel.wasm', import.meta.url)))
    const { exports } = new WebAssembly.Instance(module, { env: { abort: throwAbort } })
    this.calls = exports as unknown as KernelCalls
    this.#memory = exports.memory as WebAssembly.Memory
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength
  }

  /** A region of its own; what was there before is in it. */
  allocate(bytes: number): number {
    const start = this.#top
    this.#top = Math.ceil((start + bytes + SLACK_BYTES) / ALIGNMENT) * ALIGNMENT
    const missing = this.#top + SLACK_BYTES - this.#memory.buffer.byteLength
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE_BYTES))
    return start
  }

  /** To be given to `release`, which frees every region taken since. */
  mark(): number {
    return this.#top
  }

  release(mark: number): void {
    this.#top = mark
  }

  /** A view, until the memory grows. */
  bytes(start: number, end: number): Buffer {
    return Buffer.from(this.#memory.buffer, start, end - start)
  }

  numbers(start: number, count: number): Uint32Array {
    return new Uint32Array(this.#memory.buffer, start, count)
  }

  write(start: number, bytes: Uint8Array): void {
    new Uint8Array(this.#memory.buffer, start, bytes.length).set(bytes)
  }
}

/** Of this thread, given back and not in use. */
const idle: Kernel[] = []
const IDLE_MAX = 2
/** A kernel that a giant row has swollen is not kept: its memory cannot shrink. */
const IDLE_MEMORY_BYTES_MAX = 160 * 1024 * 1024

/** `largest`, for a table's rows, or `smallest`, for its locator, of those at hand: so that only one grows large. */
export function takeKernel(wanted: 'largest' | 'smallest'): Kernel {
  idle.sort((a, b) => (wanted === 'largest' ? a.memoryBytes - b.memoryBytes : b.memoryBytes - a.memoryBytes))
  return idle.pop() ?? new Kernel()
}

export function giveKernelBack(kernel: Kernel): void {
  kernel.release(BOTTOM)
  if (idle.length < IDLE_MAX && kernel.memoryBytes <= IDLE_MEMORY_BYTES_MAX) idle.push(kernel)
}

function throwAbort(): never {
  throw new Error('the kernel aborted')
}
