/** Which rows of a partitioned table moved, and which only look like it. */
import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../../src/repository/manifest.ts'
import { PartMoves, type PartRow, partitionColumns } from '../../../src/verify/certificate/part-moves.ts'

const T = (transaction: number) => ({ step: 0, transaction })

describe('a row that went from one part and came in another', () => {
  it.each<[string, 'pure' | 'changed' | null, readonly PartRow[], readonly PartRow[]]>([
    ['as it was', 'pure', [row('may', '7\t3\t71')], [row('rest', '7\t3\t71')]],
    [
      'as it was, where only one side tells the moment',
      'pure',
      [row('may', '7\t3\t71', T(1))],
      [row('rest', '7\t3\t71')],
    ],
    ['with another partition key', 'changed', [row('may', '7\t3\t71', T(1))], [row('june', '7\t4\t71', T(1))]],
    [
      'with its columns in another order',
      'pure',
      [row('may', '7\t3\t71')],
      [row('june', '71\t3\t7', null, ['value', 'at', 'id'])],
    ],
    ['with another value', null, [row('may', '7\t3\t71')], [row('june', '7\t4\t72')]],
    ['in another transaction', null, [row('may', '7\t3\t71', T(1))], [row('june', '7\t4\t71', T(2))]],
    ['twice', null, [row('may', '7\t3\t71')], [row('june', '7\t4\t71'), row('july', '7\t5\t71')]],
    ['from two', null, [row('may', '7\t3\t71'), row('april', '7\t2\t71')], [row('june', '7\t4\t71')]],
    ['and in its own', null, [row('may', '7\t3\t71')], [row('may', '7\t3\t71')]],
    [
      'after it came in the same period',
      'changed',
      [row('may', '7\t3\t71', T(2))],
      [row('june', '7\t4\t71', T(2)), row('may', '7\t3\t71', T(1))],
    ],
    ['never', null, [row('may', '7\t3\t71')], []],
  ])('%s: %s', (_, expected, went, came) => {
    const moves = new PartMoves(new Set(['at']))
    for (const each of went) moves.went(each)
    for (const each of came) moves.came(each)

    expect(moves.of('went', went[0]!)).toBe(expected)
    if (came[0]) expect(moves.of('came', came[0])).toBe(expected)
  })

  it('is sought by the columns that the definition names', () => {
    const columns = ['id', 'at', 'bed no', 'ward'].map((name) => ({ name, type: 'text', notNull: true }))
    const sql = 'CREATE TABLE public.v (id int) PARTITION BY RANGE (date(at), "bed no")'
    const manifest = {
      tables: [{ partitionOf: 'public.v', columns }],
      ddl: { steps: [{ object: 'TABLE public.v', sql }] },
    }

    expect([...partitionColumns(manifest as unknown as Manifest, 'public.v')]).toEqual(['at', 'bed no'])
  })
})

function row(part: string, line: string, at: PartRow['at'] = null, columns = ['id', 'at', 'value']): PartRow {
  return { part, columns, line: Buffer.from(line), at }
}
