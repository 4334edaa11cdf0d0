/**
 * Takes rows from the merge, one by one, into the text of a leaf, until tree/boundary.ts would cut; tells equal keys,
 * and where the rows of another anchor begin. It stops whenever something is needed that Node must do, and goes on
 * from the same row when it is called again.
 */
import { anchorLength, keyStart, lineStart, positionOf, rowAt, rowsOf, setPosition } from './block'
import { compareBytes, copyLoosely, sameBytes } from './bytes'
import { xxh64 } from './hash'
import { dropLeast, leastBlock, leastMoved, mergeSize } from './merge'
import { isBag } from './parse'

export const LEAF_CUT: i32 = 0
export const ROWS_END: i32 = 1
/** The least block has no more rows: give it others, or drop it. */
export const BLOCK_EMPTY: i32 = 2
export const DUPLICATE_KEY: i32 = 3
export const TEXT_FULL: i32 = 4
export const GROUPS_FULL: i32 = 5
export const ANCHORS_FULL: i32 = 6
export const KEY_FULL: i32 = 7

export const ORDINAL_BYTES: usize = 4
/** Of the text where a group starts, and of its anchor: address and length. */
export const GROUP_BYTES: usize = 12
const HASH_RANGE: f64 = 4294967296

let seed: u64 = 0
let scale: f64 = 0
let sizeMin: f64 = 0
let sizeMax: f64 = 0

let text: usize = 0
let textAt: usize = 0
let textEnd: usize = 0
let rows: u32 = 0
let groups: usize = 0
let groupCount: u32 = 0
let groupsMax: u32 = 0
let anchors: usize = 0
let anchorsAt: usize = 0
let anchorsEnd: usize = 0
/** The key of the row before, in a bag with its ordinal behind it; its length without. */
let key: usize = 0
let keyLength: usize = 0
let keyMax: usize = 0
let hasKey: bool = false
let ordinal: u32 = 0

export function setCut(cutSeed: u64, cutScale: f64, cutMin: f64, cutMax: f64): void {
  seed = cutSeed
  scale = cutScale
  sizeMin = cutMin
  sizeMax = cutMax
}

/** Before the first row of a tree: no room is known, and no key. */
export function beginTree(): void {
  text = 0
  textAt = 0
  rows = 0
  groupCount = 0
  keyLength = 0
  hasKey = false
  ordinal = 0
}

/** Rooms may move while a leaf is being filled: what stands in the old one is copied to the new one. */
export function setTextRoom(start: usize, end: usize): void {
  memory.copy(start, text, textAt - text)
  textAt = start + (textAt - text)
  text = start
  textEnd = end
}

export function setGroupRoom(start: usize, max: u32): void {
  memory.copy(start, groups, <usize>groupCount * GROUP_BYTES)
  groups = start
  groupsMax = max
}

/** Anchors of groups already begun stay where they are: only new ones come here. */
export function setAnchorRoom(start: usize, end: usize): void {
  anchors = start
  anchorsAt = start
  anchorsEnd = end
}

/** Holds what the old one held. */
export function setKeyRoom(start: usize, bytes: usize): void {
  memory.copy(start, key, keyLength)
  key = start
  keyMax = bytes
}

export function beginLeaf(): void {
  textAt = text
  rows = 0
  groupCount = 0
  anchorsAt = anchors
}

export function leafRows(): u32 { return rows }
export function leafTextEnd(): usize { return textAt }
export function leafGroups(): u32 { return groupCount }
export function lastKeyBytes(): usize { return keyLength + (isBag() ? ORDINAL_BYTES : 0) }
/** What the room that is full must hold at least, beside what it holds. */
export function wantedText(): usize {
  const block = leastBlock()
  const row = rowAt(block, positionOf(block))
  return lineStart(block, row + 1) - lineStart(block, row)
}
export function wantedKey(): usize {
  const block = leastBlock()
  const row = rowAt(block, positionOf(block))
  return keyStart(block, row + 1) - keyStart(block, row) + ORDINAL_BYTES
}

export function fillLeaf(): i32 {
  const bag = isBag()
  while (mergeSize() > 0) {
    const block = leastBlock()
    const position = positionOf(block)
    if (position == rowsOf(block)) return BLOCK_EMPTY
    const row = rowAt(block, position)
    const line = lineStart(block, row)
    const lineBytes = lineStart(block, row + 1) - line
    const from = keyStart(block, row)
    const bytes = keyStart(block, row + 1) - from
    if (textAt + lineBytes > textEnd) return TEXT_FULL
    if (bytes + ORDINAL_BYTES > keyMax) return KEY_FULL

    const repeated = hasKey && bytes == keyLength && sameBytes(key, from, bytes)
    if (repeated && !bag) return DUPLICATE_KEY
    const anchor = <usize>anchorLength(block, row)
    if (startsGroup(from, anchor)) {
      if (groupCount == groupsMax) return GROUPS_FULL
      if (anchorsAt + anchor > anchorsEnd) return ANCHORS_FULL
      addGroup(from, anchor)
    }
    if (!repeated) {
      copyLoosely(key, from, bytes)
      keyLength = bytes
      hasKey = true
    }
    let hashed = bytes
    if (bag) {
      ordinal = repeated ? ordinal + 1 : 0
      store<u32>(key + bytes, bswap<u32>(ordinal))
      hashed += ORDINAL_BYTES
    }
    copyLoosely(textAt, line, lineBytes)
    textAt += lineBytes
    rows += 1
    setPosition(block, position + 1)
    if (position + 1 < rowsOf(block)) leastMoved()
    if (isCutAt(textAt - text, lineBytes, key, hashed)) return LEAF_CUT
  }
  return ROWS_END
}

/** tree/boundary.ts, for the row of this key. */
export function isCutAt(sizeAfter: usize, unit: usize, rowKey: usize, keyBytes: usize): bool {
  const after = <f64>sizeAfter
  if (after < sizeMin) return false
  if (after >= sizeMax) return true
  const ratio = after / scale
  const hazard = ((4.0 * ratio * ratio * ratio) / scale) * <f64>unit
  return <f64>(<u32>xxh64(rowKey, keyBytes, seed)) < hazard * HASH_RANGE
}

/** An anchor's encoding says where it ends, so that equal beginnings of equal length are the same anchor. */
function startsGroup(from: usize, anchor: usize): bool {
  if (groupCount == 0) return true
  const last = groups + <usize>(groupCount - 1) * GROUP_BYTES
  return load<u32>(last, 8) != <u32>anchor || !sameBytes(load<u32>(last, 4), from, anchor)
}

function addGroup(from: usize, anchor: usize): void {
  const group = groups + <usize>groupCount * GROUP_BYTES
  store<u32>(group, <u32>(textAt - text))
  store<u32>(group, <u32>anchorsAt, 4)
  store<u32>(group, <u32>anchor, 8)
  memory.copy(anchorsAt, from, anchor)
  anchorsAt += anchor
  groupCount += 1
}
