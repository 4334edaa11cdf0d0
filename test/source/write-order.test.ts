/** In which order tables of a plan are written where they refer to each other. */
import { expect, it } from 'vitest'
import type { TableInfo } from '../../src/source/contract.ts'
import { childrenFirst, type TableEdits } from '../../src/source/write-order.ts'

it('a circle is entered by the key that can wait, whatever the tables are called', () => {
  for (const [document, edition] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    const tables = [edits(document, { newest: edition }), edits(edition, { of: document })]
    const order = childrenFirst(tables, new Map([[document, new Set(['newest'])]])).map(({ table }) => table.name)
    expect(order).toEqual([edition, document])
  }
})

it('those that refer come before those that are referred to, parts of a table like the table', () => {
  const part = edits('part', {})
  const tables = [{ ...part, table: { ...part.table, partitionOf: 'whole' } }, edits('child', { of: 'whole' })]
  expect(childrenFirst(tables, new Map()).map(({ table }) => table.name)).toEqual(['child', 'part'])
})

/** @param keys of foreign keys their names, and what they refer to */
function edits(name: string, keys: Readonly<Record<string, string>>): TableEdits {
  const foreignKeys = Object.entries(keys).map(([key, references]) => {
    return { name: key, columns: ['x'], references, referencedColumns: ['id'] }
  })
  const table = { name, partitionOf: null, foreignKeys } as unknown as TableInfo
  return { table, columns: ['id', 'x'], rows: [] }
}
