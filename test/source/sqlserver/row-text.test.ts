/**
 * The SELECT list of every type, held to what Microsoft's pages say of CONVERT; no server has a part in this.
 *   learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql: tables "Date and time styles",
 *   "float and real styles", "money and smallmoney styles", "xml styles", "Binary styles".
 */
import { describe, expect, it } from 'vitest'
import type { CatalogColumn, CatalogTable } from '../../../src/source/sqlserver/introspect.ts'
import { selectStatement } from '../../../src/source/sqlserver/read-table.ts'
import { bentCondition, declaration, type SqlType, textForm } from '../../../src/source/sqlserver/row-text.ts'

const plain: SqlType = { base: 'int', maxLength: 4, precision: 10, scale: 0, collation: null }
const type = (base: string, parts: Partial<SqlType> = {}): SqlType => ({ ...plain, base, ...parts })
const CHINESE = 'Chinese_PRC_CI_AS'

/** Type as declared, how it is read, how it is written again, and what it waits as. */
const EXPECTED: readonly (readonly [SqlType, string, string, string, 'text' | 'bytes'])[] = [
  [type('bit'), 'bit', 'CONVERT(nvarchar(20), [c])', 'CONVERT(bit, f)', 'text'],
  [type('tinyint'), 'tinyint', 'CONVERT(nvarchar(20), [c])', 'CONVERT(tinyint, f)', 'text'],
  [type('smallint'), 'smallint', 'CONVERT(nvarchar(20), [c])', 'CONVERT(smallint, f)', 'text'],
  [type('int'), 'int', 'CONVERT(nvarchar(20), [c])', 'CONVERT(int, f)', 'text'],
  [type('bigint'), 'bigint', 'CONVERT(nvarchar(20), [c])', 'CONVERT(bigint, f)', 'text'],
  [
    type('decimal', { precision: 38, scale: 10 }),
    'decimal(38,10)',
    'CONVERT(nvarchar(41), [c])',
    'CONVERT(decimal(38,10), f)',
    'text',
  ],
  [
    type('numeric', { precision: 5, scale: 5 }),
    'numeric(5,5)',
    'CONVERT(nvarchar(41), [c])',
    'CONVERT(numeric(5,5), f)',
    'text',
  ],
  [type('money'), 'money', 'CONVERT(nvarchar(30), [c], 2)', 'CONVERT(money, f, 2)', 'text'],
  [type('smallmoney'), 'smallmoney', 'CONVERT(nvarchar(30), [c], 2)', 'CONVERT(smallmoney, f, 2)', 'text'],
  [type('float'), 'float', 'CONVERT(nvarchar(40), [c], 3)', 'CONVERT(float, f, 3)', 'text'],
  [type('real'), 'real', 'CONVERT(nvarchar(40), [c], 3)', 'CONVERT(real, f, 3)', 'text'],
  [type('date'), 'date', 'CONVERT(nvarchar(10), [c], 23)', 'CONVERT(date, f, 23)', 'text'],
  [type('time', { scale: 7 }), 'time(7)', 'CONVERT(nvarchar(16), [c], 121)', 'CONVERT(time(7), f, 121)', 'text'],
  [type('datetime'), 'datetime', 'CONVERT(nvarchar(23), [c], 121)', 'CONVERT(datetime, f, 121)', 'text'],
  [type('smalldatetime'), 'smalldatetime', 'CONVERT(nvarchar(19), [c], 120)', 'CONVERT(smalldatetime, f, 120)', 'text'],
  [
    type('datetime2', { scale: 7 }),
    'datetime2(7)',
    'CONVERT(nvarchar(27), [c], 121)',
    'CONVERT(datetime2(7), f, 121)',
    'text',
  ],
  [
    type('datetimeoffset', { scale: 3 }),
    'datetimeoffset(3)',
    'CONVERT(nvarchar(34), [c], 121)',
    'CONVERT(datetimeoffset(3), f, 121)',
    'text',
  ],
  [type('uniqueidentifier'), 'uniqueidentifier', 'CONVERT(nvarchar(36), [c])', 'CONVERT(uniqueidentifier, f)', 'text'],
  [type('xml', { maxLength: -1 }), 'xml', 'CONVERT(nvarchar(max), [c])', 'CONVERT(xml, f, 1)', 'text'],
  [
    type('char', { maxLength: 12, collation: CHINESE }),
    'char(12)',
    'CONVERT(nvarchar(12), [c])',
    'CONVERT(char(12), f)',
    'text',
  ],
  [
    type('varchar', { maxLength: 8000, collation: CHINESE }),
    'varchar(8000)',
    'CONVERT(nvarchar(max), [c])',
    'CONVERT(varchar(8000), f)',
    'text',
  ],
  [
    type('text', { maxLength: 16, collation: CHINESE }),
    'text',
    'CONVERT(nvarchar(max), CONVERT(varchar(max), [c]))',
    'CONVERT(text, CONVERT(varchar(max), f))',
    'text',
  ],
  [type('nchar', { maxLength: 20 }), 'nchar(10)', '[c]', 'CONVERT(nchar(10), f)', 'text'],
  [type('nvarchar', { maxLength: -1 }), 'nvarchar(max)', '[c]', 'CONVERT(nvarchar(max), f)', 'text'],
  [
    type('ntext', { maxLength: 16 }),
    'ntext',
    'CONVERT(nvarchar(max), CONVERT(nvarchar(max), [c]))',
    'CONVERT(ntext, CONVERT(nvarchar(max), f))',
    'text',
  ],
  [type('binary', { maxLength: 8 }), 'binary(8)', '[c]', 'CONVERT(binary(8), f)', 'bytes'],
  [type('varbinary', { maxLength: -1 }), 'varbinary(max)', '[c]', 'CONVERT(varbinary(max), f)', 'bytes'],
  [type('image', { maxLength: 16 }), 'image', '[c]', 'CONVERT(image, f)', 'bytes'],
  [
    type('hierarchyid', { maxLength: 892 }),
    'hierarchyid',
    'CONVERT(varbinary(max), [c])',
    'CONVERT(hierarchyid, f)',
    'bytes',
  ],
  [type('geometry', { maxLength: -1 }), 'geometry', 'CONVERT(varbinary(max), [c])', 'CONVERT(geometry, f)', 'bytes'],
  [type('geography', { maxLength: -1 }), 'geography', 'CONVERT(varbinary(max), [c])', 'CONVERT(geography, f)', 'bytes'],
]

describe('the text of a type', () => {
  it.each(EXPECTED.map((row) => ({ name: row[1], row })))('$name is asked for as the documentation has it', ({
    row,
  }) => {
    const [sqlType, declared, read, write, carrier] = row
    const form = textForm(sqlType)

    expect(declaration(sqlType)).toBe(declared)
    expect(form?.read('[c]')).toBe(read)
    expect(form?.write('f')).toBe(write)
    expect(form?.carrier).toBe(carrier)
  })

  it.each(['sql_variant', 'timestamp', 'json', 'vector', 'toString'])('%s has none', (base) => {
    expect(textForm(type(base))).toBeNull()
  })

  it('of a code page is compared with its own bytes, in its own collation (F38)', () => {
    const columns = [
      { name: 'note', type: type('varchar', { maxLength: 50, collation: CHINESE }) },
      { name: 'id', type: type('int') },
      { name: 'name', type: type('nvarchar', { maxLength: 50, collation: CHINESE }) },
    ]

    expect(bentCondition(columns)).toBe(
      'CONVERT(varbinary(max), [note]) <> CONVERT(varbinary(max), CONVERT(varchar(max), ' +
        `CONVERT(nvarchar(max), [note]) COLLATE ${CHINESE}))`,
    )
    expect(bentCondition(columns.slice(1))).toBeNull()
  })

  it('stands in one statement, behind the field that tells of bent text, under names that need brackets', () => {
    const column = (name: string, sqlType: SqlType): CatalogColumn => ({
      name,
      declared: declaration(sqlType),
      type: sqlType,
      nullable: true,
      isIdentity: false,
      isComputed: false,
    })
    const captured = [column('a]b', type('money')), column('n', type('nvarchar', { maxLength: 20 }))]
    const table = { info: { name: 'w.t', sqlName: '[w].[t]' }, columns: captured, captured } as unknown as CatalogTable

    expect(selectStatement(table)).toBe(`SELECT N'0', CONVERT(nvarchar(30), [a]]b], 2), [n] FROM [w].[t]`)
  })
})
