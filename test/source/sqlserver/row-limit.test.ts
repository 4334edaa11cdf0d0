/** A row that could be kept and not be put back is refused by its table's name, whichever way it is read (docs/sqlserver.md). */
import { expect, test } from 'vitest'
import type { Field, Session } from '../../../src/source/sqlserver/connect.ts'
import { LINE_CHARACTERS_MAX } from '../../../src/source/sqlserver/copy-line.ts'
import type { CatalogTable } from '../../../src/source/sqlserver/introspect.ts'
import { readLines } from '../../../src/source/sqlserver/read-table.ts'
import { readChanges } from '../../../src/source/sqlserver/tracking/ask-server.ts'

const table = {
  info: { name: 'ward.note', sqlName: '[ward].[note]', primaryKey: ['id'] },
  captured: [
    { name: 'id', type: { base: 'int' } },
    { name: 'body', type: { base: 'nvarchar', maxLength: -1 } },
  ],
} as unknown as CatalogTable
const AT_MOST = LINE_CHARACTERS_MAX - '1\t\n'.length

/** Answers every statement with this row. */
function answering(...row: readonly Field[]): Session {
  return {
    async *rows() {
      yield row
    },
  } as unknown as Session
}

const WAYS: Readonly<Record<string, (body: string) => AsyncIterable<unknown>>> = {
  'of a full read': (body: string) => readLines(answering('0', '1', body), table),
  'of net changes': (body: string) => readChanges(answering('0', '0', '1', '1', body), table, 'SELECT 1'),
}

test.each(Object.entries(WAYS))('%s', async (_, read) => {
  expect((await Array.fromAsync(read('x'.repeat(AT_MOST)))).length).toBeGreaterThan(0)
  const tooMuch = Array.fromAsync(read('x'.repeat(AT_MOST + 1)))
  await expect(tooMuch).rejects.toMatchObject({ code: 'not-available', context: { table: 'ward.note' } })
})
