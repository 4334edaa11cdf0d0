/**
 * Where in a configuration file a problem is, and what its author may have meant.
 */
import { isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml'

/** Beyond this many edits a name is no longer what somebody meant. */
const EDITS_MAX = 4

/** The line of what `path` leads to, or of the deepest part of it that is there. From 1. */
export function positionOf(file: string, path: readonly PropertyKey[]): number {
  const lines = new LineCounter()
  const document = parseDocument(file, { lineCounter: lines })
  let found: Node | null = isNode(document.contents) ? document.contents : null
  let offset = found?.range?.[0] ?? 0
  for (const step of path) {
    const child: { key: Node | null; value: Node | null } | null = childOf(found, step)
    if (child === null) break
    offset = (child.key ?? child.value)?.range?.[0] ?? offset
    found = child.value
  }
  return lines.linePos(offset).line
}

function childOf(parent: Node | null, step: PropertyKey): { key: Node | null; value: Node | null } | null {
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === step)
    if (pair === undefined || !isNode(pair.key)) return null
    return { key: pair.key, value: isNode(pair.value) ? pair.value : null }
  }
  if (parent !== null && 'items' in parent && Array.isArray(parent.items) && typeof step === 'number') {
    const item: unknown = parent.items[step]
    return isNode(item) ? { key: null, value: item } : null
  }
  return null
}

export function unknownKeyText(key: string, known: readonly string[]): string {
  const nearest = nearestName(key, known)
  const meant = editDistance(key.toLowerCase(), nearest.toLowerCase()) <= EDITS_MAX ? `did you mean ${nearest}? ` : ''
  return `unknown key ${key}: ${meant}(known here: ${known.join(', ')})`
}

/** Of `names`, which is not empty, the one that the fewest edits make of `name`. */
export function nearestName(name: string, names: readonly string[]): string {
  const distances = names.map((each) => editDistance(name.toLowerCase(), each.toLowerCase()))
  return names[distances.indexOf(Math.min(...distances))]!
}

/** Levenshtein distance, one row of the table at a time. */
export function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, column) => column)
  for (let line = 1; line <= left.length; line += 1) {
    const next = [line]
    for (let column = 1; column <= right.length; column += 1) {
      const replaced = row[column - 1]! + (left[line - 1] === right[column - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[column]! + 1, next[column - 1]! + 1))
    }
    row = next
  }
  return row[right.length]!
}
