/**
 * Rows of one tree in a kernel's memory: text as it comes, then, when a run is full, its keys and its order.
 *
 *     [ text of the run …            | line starts, key starts, anchors | keys … | order ]
 *       room for runBytes, and more    \_________ taken when the run is full _________/
 *       only for a row that is larger
 */
import { assert, Failure } from '../../errors.ts'
import { sha256 } from '../crypto/provider.ts'
import { BAG_DIGEST_BYTES } from '../tree/rows.ts'
import type { TreeSpec } from '../tree/spec.ts'
import { type Kernel, PARSE } from './kernel.ts'

/** As assembly/block.ts lays a block out. */
export const BLOCK_BYTES = 48
const SORT_BYTES_PER_ROW = 24
const SORT_BYTES = 1024
/** What keys of most tables need; more is taken as it is needed. */
const KEY_BYTES_PER_ROW = 24

/** Tells the kernel which fields are the key. Takes memory that must stay. */
export function setSpec(kernel: Kernel, spec: TreeSpec): void {
  const keyFields = kernel.allocate(4 * spec.key.length)
  const starts = kernel.allocate(4 * (spec.fieldCount + 1))
  kernel.numbers(keyFields, spec.key.length).set(spec.key)
  kernel.calls.setSpec(spec.fieldCount, spec.anchor ?? -1, spec.key.length, keyFields, starts)
}

export interface BlockRooms {
  readonly block: number
  readonly text: number
  readonly textEnd: number
  readonly lineStarts: number
  readonly keyStarts: number
  readonly anchors: number
  readonly keys: number
}

/** Takes room for a block of `rows` rows over text that is there already. The keys' room is the last: it may grow. */
export function layBlock(kernel: Kernel, text: number, textEnd: number, rows: number): BlockRooms {
  return {
    block: kernel.allocate(BLOCK_BYTES),
    text,
    textEnd,
    lineStarts: kernel.allocate(4 * (rows + 1)),
    keyStarts: kernel.allocate(4 * (rows + 1)),
    anchors: kernel.allocate(4 * rows),
    keys: kernel.mark(),
  }
}

/**
 * Parses a block whose keys are the last thing in memory; on return its keys have their room. Where the tree has a
 * locator, `locatorRoom` is as large as the text.
 * @returns the end of the locator's lines
 * @throws source-failed
 */
export function parseRun(kernel: Kernel, spec: TreeSpec, rooms: BlockRooms, locatorRoom: number | null): number {
  const { calls } = kernel
  parseGrowing(kernel, spec, rooms, locatorRoom)
  if (spec.key.length === 0) digestLines(kernel, rooms)
  kernel.release(rooms.keys)
  kernel.allocate(calls.keyPosition() - rooms.keys)
  return calls.locatorPosition()
}

/** Lines and anchors alone, where the kernel was told of no key: the block's keys are not those of its rows. @throws source-failed */
export function parseAnchors(kernel: Kernel, spec: TreeSpec, rooms: BlockRooms): void {
  parseGrowing(kernel, spec, rooms, null)
}

function parseGrowing(kernel: Kernel, spec: TreeSpec, rooms: BlockRooms, locatorRoom: number | null): void {
  const expectedRows = (rooms.keyStarts - rooms.lineStarts) >> 2
  let keyBytes = 4096 + expectedRows * KEY_BYTES_PER_ROW
  beginBlock(kernel, rooms, locatorRoom)
  for (;;) {
    kernel.release(rooms.keys)
    kernel.allocate(keyBytes)
    if (parseOn(kernel, spec, rooms, rooms.keys + keyBytes)) return
    keyBytes *= 2
  }
}

/** Parses a block of rows that were parsed before: what their keys need is known. */
export function parseAgain(kernel: Kernel, spec: TreeSpec, rooms: BlockRooms, keysEnd: number): void {
  beginBlock(kernel, rooms, null)
  assert(parseOn(kernel, spec, rooms, keysEnd), 'spilled rows have the keys they had')
  if (spec.key.length === 0) digestLines(kernel, rooms)
}

/** Writes the block's head: nothing is known of its rows yet. */
function beginBlock(kernel: Kernel, rooms: BlockRooms, locatorRoom: number | null): void {
  const { text, textEnd, lineStarts, keyStarts, anchors } = rooms
  kernel.numbers(rooms.block, 8).set([text, textEnd, 0, lineStarts, keyStarts, anchors, 0, 0])
  kernel.calls.beginParse(rooms.block, rooms.keys)
  kernel.calls.setLocatorRoom(locatorRoom ?? 0, (locatorRoom ?? 0) + textEnd - text)
}

/** @returns false when the keys need more room */
function parseOn(kernel: Kernel, spec: TreeSpec, rooms: BlockRooms, keysEnd: number): boolean {
  const status = kernel.calls.parse(rooms.block, keysEnd)
  if (status === PARSE.wrongFields) throw wrongFieldCount(spec, kernel.calls.foundFields())
  assert(status !== PARSE.locatorFull, "a locator's lines are no longer than the rows they come from")
  return status === PARSE.parsed
}

/** The order of a parsed block; takes four bytes a row. */
export function sortBlock(kernel: Kernel, rooms: BlockRooms): void {
  const rows = rowsOf(kernel, rooms)
  const room = kernel.allocate(SORT_BYTES_PER_ROW * rows + SORT_BYTES)
  kernel.calls.sort(rooms.block, room)
  kernel.release(room)
  kernel.allocate(4 * rows)
}

export function rowsOf(kernel: Kernel, rooms: BlockRooms): number {
  return kernel.numbers(rooms.block, 3)[2]!
}

/** In a bag, the digest of the line stands at the end of each key, where the kernel has left room for it. */
function digestLines(kernel: Kernel, rooms: BlockRooms): void {
  const rows = rowsOf(kernel, rooms)
  const lines = kernel.numbers(rooms.lineStarts, rows + 1)
  const keys = kernel.numbers(rooms.keyStarts, rows + 1)
  for (let row = 0; row < rows; row += 1) {
    const digest = sha256(kernel.bytes(lines[row]!, lines[row + 1]! - 1))
    kernel.write(keys[row + 1]! - BAG_DIGEST_BYTES, digest.subarray(0, BAG_DIGEST_BYTES))
  }
}

function wrongFieldCount(spec: TreeSpec, found: number): Failure {
  return new Failure('source-failed', `a row of ${spec.name} has ${found} fields, its table has ${spec.fieldCount}`, {
    context: { table: spec.name },
  })
}
