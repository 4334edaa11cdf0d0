/** What Node may call (kernel.ts declares it in TypeScript). */
export { countLines, sameBytes } from './bytes'
export { xxh64 } from './hash'
export { encodeField } from './key'
export { beginParse, foundFields, keyPosition, locatorPosition, parse, setLocatorRoom, setSpec } from './parse'
export { sort } from './sort'
export { addBlock, beginMerge, dropLeast, leastBlock, leastIsEmpty, leastMoved, mergeSize } from './merge'
export { beginGather, gather, keyBytesGathered, longestKeyGathered, rowsGathered } from './gather'
export {
  beginLeaf,
  beginTree,
  fillLeaf,
  lastKeyBytes,
  leafGroups,
  leafRows,
  leafTextEnd,
  setAnchorRoom,
  setCut,
  setGroupRoom,
  setKeyRoom,
  setTextRoom,
  wantedKey,
  wantedText,
} from './leaf'
export { encodeLeaf, headEnd } from './encode'
export { patternRoomBytes } from './pattern-encode'
export { decodeLeaf, decodeRoomBytes } from './decode'
export { checkedKey, checkedKeyBytes, checkedRow, checkRows, groupRows, sumLines } from './check'
export { hmacEach, setHmacKey } from './sha256'
