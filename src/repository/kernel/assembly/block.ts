/**
 * A block: lines in memory with their keys, as Rows of tree/rows.ts, in absolute addresses.
 *
 *     0   text        4   text's end    8   rows         12  line starts (rows + 1)
 *     16  key starts (rows + 1)         20  anchors' lengths (rows)
 *     24  order (row numbers; 0: as they stand)          28  position in it
 *     32  the first eight bytes of the current key       40  the next eight
 */

export const BLOCK_BYTES: usize = 48

@inline export function textOf(block: usize): usize { return load<u32>(block) }
@inline export function textEndOf(block: usize): usize { return load<u32>(block, 4) }
@inline export function rowsOf(block: usize): u32 { return load<u32>(block, 8) }
@inline export function setRows(block: usize, rows: u32): void { store<u32>(block, rows, 8) }
@inline export function lineStarts(block: usize): usize { return load<u32>(block, 12) }
@inline export function keyStarts(block: usize): usize { return load<u32>(block, 16) }
@inline export function anchorLengths(block: usize): usize { return load<u32>(block, 20) }
@inline export function orderOf(block: usize): usize { return load<u32>(block, 24) }
@inline export function setOrder(block: usize, order: usize): void { store<u32>(block, order, 24) }
@inline export function positionOf(block: usize): u32 { return load<u32>(block, 28) }
@inline export function setPosition(block: usize, position: u32): void { store<u32>(block, position, 28) }

/** The row that stands at `position` of the block's order. */
@inline
export function rowAt(block: usize, position: u32): u32 {
  const order = orderOf(block)
  return order ? load<u32>(order + (<usize>position << 2)) : position
}

@inline
export function lineStart(block: usize, row: u32): usize {
  return load<u32>(lineStarts(block) + (<usize>row << 2))
}

@inline
export function keyStart(block: usize, row: u32): usize {
  return load<u32>(keyStarts(block) + (<usize>row << 2))
}

@inline
export function anchorLength(block: usize, row: u32): u32 {
  return load<u32>(anchorLengths(block) + (<usize>row << 2))
}
