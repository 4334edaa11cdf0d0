/** Addresses, names, failures and statements of SQL Server, without a server. */
import { describe, expect, it } from 'vitest'
import { openScratchServer, openSource, setupSql } from '../../../src/source/open.ts'
import { indexStep, linkSteps } from '../../../src/source/sqlserver/ddl/constraints.ts'
import { inOrder, moduleStep } from '../../../src/source/sqlserver/ddl/modules.ts'
import { toSqlServerFailure } from '../../../src/source/sqlserver/failures.ts'
import type { CatalogColumn } from '../../../src/source/sqlserver/introspect.ts'
import { keysAmong } from '../../../src/source/sqlserver/key-condition.ts'
import { quoteName, quoteText, shownName } from '../../../src/source/sqlserver/quote.ts'
import type { SqlType } from '../../../src/source/sqlserver/row-text.ts'
import { tableOfStep, tablesOfForeignKey } from '../../../src/source/sqlserver/steps.ts'
import { parseUrl } from '../../../src/source/sqlserver/url.ts'

const settings = { url: 'sqlserver://reader@db.hospital/icu' }

describe('an address', () => {
  it('is encrypted, and its certificate checked, unless it says otherwise', () => {
    expect(parseUrl(settings.url)).toEqual({
      host: 'db.hospital',
      port: 1433,
      user: 'reader',
      database: 'icu',
      encrypt: 'true',
      trustServerCertificate: false,
      hostNameInCertificate: undefined,
      shown: 'db.hospital:1433/icu',
    })
    expect(parseUrl(`${settings.url}?encrypt=strict&hostNameInCertificate=sql`)).toMatchObject({
      encrypt: 'strict',
      hostNameInCertificate: 'sql',
    })
  })

  it.each([
    ['postgres://db/icu', 'must be given as sqlserver://'],
    ['sqlserver://u:secret-word@db/icu', 'holds a password'],
    ['sqlserver://db/icu?encrypt=no', "encrypt is 'no'"],
    ['sqlserver://db/icu?password=secret-word', 'a parameter password'],
  ])('%s is refused', (url, words) => {
    const refusal = failureOf(() => parseUrl(url))

    expect(refusal).toMatchObject({ code: 'bad-configuration' })
    expect(String(refusal)).toContain(words)
    expect(String(refusal)).not.toContain('secret-word')
  })
})

describe('a server that is not there', () => {
  it('is named by host, port and database', async () => {
    const refused = openSource({ url: 'sqlserver://reader@127.0.0.1:9/icu', password: 'secret-word' })

    await expect(refused).rejects.toMatchObject({
      code: 'source-unreachable',
      message: expect.stringContaining('connecting to 127.0.0.1:9/icu failed'),
    })
  })
})

describe('names and texts', () => {
  it('are closed by their own sign, doubled', () => {
    expect(quoteName('a]b')).toBe('[a]]b]')
    expect(quoteText("O'Neil")).toBe("N'O''Neil'")
    expect(shownName('dbo', '护理记录')).toBe('dbo.护理记录')
    expect(shownName('my schema', '1st')).toBe('[my schema].[1st]')
  })
})

describe('an error of the server', () => {
  const planted = (number: number) =>
    Object.assign(new Error("The duplicate key value is (张三). Conversion failed: '张三'"), {
      number,
      code: 'EREQUEST',
    })

  it.each([
    [208, 'source', 'object-missing-in-source'],
    [229, 'source', 'missing-rights'],
    [1205, 'source', 'yielded-to-application'],
    [3952, 'source', 'setting-not-pinned'],
    [3961, 'source', 'schema-changed'],
    [3958, 'source', 'source-failed'],
    [4060, 'source', 'source-not-found'],
    [18456, 'source', 'source-login-refused'],
    [208, 'target', 'target-failed'],
    [2627, 'target', 'target-failed'],
    [8152, 'target', 'target-failed'],
    [33557097, 'source', 'source-failed'],
  ] as const)('%i at the %s is %s, and tells no value (F42)', (number, side, code) => {
    const failure = toSqlServerFailure(planted(number), { doing: 'reading w.t', side })

    expect(failure).toMatchObject({ code, context: { number } })
    expect(JSON.stringify([failure.message, failure])).not.toContain('张三')
    expect(failure.cause).toBeUndefined()
  })

  it('without SNAPSHOT isolation says what to enable, and what else there is', () => {
    const failure = toSqlServerFailure(planted(3952), { doing: 'taking a consistent read', side: 'source' })

    expect(failure).toMatchObject({ hints: [expect.stringContaining('SET ALLOW_SNAPSHOT_ISOLATION ON')] })
    expect(failure).toMatchObject({ hints: [expect.stringContaining('a database snapshot')] })
  })

  it('or of the way to it is one of connection, or a defect', () => {
    const lost = Object.assign(new Error('Connection lost - read ECONNRESET'), { code: 'ESOCKET' })
    const certificate = Object.assign(
      new Error('x', { cause: Object.assign(new Error('y'), { code: 'SELF_SIGNED_CERT_IN_CHAIN' }) }),
      {
        code: 'ESOCKET',
      },
    )
    const setting = { doing: 'connecting to db:1433/icu', side: 'source' } as const
    const ours = new TypeError('ours')

    expect(toSqlServerFailure(lost, setting)).toMatchObject({ code: 'source-unreachable' })
    expect(toSqlServerFailure(certificate, setting)).toMatchObject({ code: 'source-login-refused' })
    expect(toSqlServerFailure(ours, setting)).toBe(ours)
  })
})

describe('statements that rebuild', () => {
  const place = { schema_name: 'w', table_name: 'note', index_name: 'ix', name: 'fk' }

  it('tell which table an index stands on, and which two a foreign key locks', () => {
    const columns = [
      { ...place, column_name: 'a', type: '2', is_unique: '1', is_descending: '1' },
      { ...place, column_name: 'b', is_included: '1' },
    ]
    const index = indexStep(columns)
    const key = indexStep([{ ...place, column_name: 'a', type: '1', is_primary_key: '1' }])
    const [link] = linkSteps([
      {
        ...place,
        column_name: 'p',
        referenced_schema: 'w',
        referenced_table: 'patient',
        referenced_column: 'id',
        on_delete: '1',
      },
    ])

    expect(index.sql).toBe('CREATE UNIQUE NONCLUSTERED INDEX [ix] ON [w].[note] ([a] DESC) INCLUDE ([b])')
    expect(key.sql).toBe('ALTER TABLE [w].[note] ADD CONSTRAINT [ix] PRIMARY KEY CLUSTERED ([a])')
    expect([index, key].map(tableOfStep)).toEqual(['[w].[note]', '[w].[note]'])
    expect(link?.sql).toBe(
      'ALTER TABLE [w].[note] ADD CONSTRAINT [fk] FOREIGN KEY ([p]) REFERENCES [w].[patient] ([id]) ON DELETE CASCADE',
    )
    expect(link && tablesOfForeignKey(link)).toEqual(['[w].[note]', '[w].[patient]'])
  })

  it('keep a key that the source does not trust, or has switched off, as it is', () => {
    const steps = linkSteps([
      { ...place, referenced_schema: 'w', referenced_table: 'patient', is_not_trusted: '1', is_disabled: '1' },
    ])

    expect(steps.map(({ phase }) => phase)).toEqual(['foreign-key', 'after'])
    expect(steps[0]?.sql).toContain(' WITH NOCHECK ADD CONSTRAINT [fk]')
    expect(steps[1]?.sql).toBe('ALTER TABLE [w].[note] NOCHECK CONSTRAINT [fk]')
  })

  it('make a module behind those it needs, under the settings of its making', () => {
    const modules = ['3', '1', '2'].map((object_id) => ({ object_id }))
    const needs = new Map([
      ['3', [{ needed_id: '2' }]],
      ['2', [{ needed_id: '1' }]],
      ['1', [{ needed_id: '3' }]],
    ])
    const view = { schema_name: 'w', name: 'v', kind: 'V', uses_ansi_nulls: '1', uses_quoted_identifier: '0' }

    expect(inOrder(modules, needs).map(({ object_id }) => object_id)).toEqual(['1', '2', '3'])
    expect(moduleStep('after', { ...view, definition: "CREATE VIEW w.v AS SELECT 'x' AS x" }).sql).toBe(
      'SET ANSI_NULLS ON; SET QUOTED_IDENTIFIER OFF;\n' +
        "EXEC sys.sp_executesql N'CREATE VIEW w.v AS SELECT ''x'' AS x';\nSET ANSI_NULLS ON; SET QUOTED_IDENTIFIER ON",
    )
  })
})

describe('what the administrator runs', () => {
  it('makes a login that reads, and allows reads as of one moment; no password stands in it', () => {
    const script = setupSql('sqlserver://ward]reader@db.hospital/icu')

    expect(script).toContain("CREATE LOGIN [ward]]reader] WITH PASSWORD = N'$(CHARTKEEP_PASSWORD)'")
    expect(script).toContain('USE [icu];')
    expect(script).toContain('ALTER ROLE db_datareader ADD MEMBER [ward]]reader];')
    expect(script).toContain('ALTER DATABASE [icu] SET ALLOW_SNAPSHOT_ISOLATION ON;')
    expect(script).not.toContain('db_datawriter')
  })

  it('lets changes be followed only when somebody takes the comment signs away', () => {
    const script = setupSql('sqlserver://ward]reader@db.hospital/icu')
    const [, part = ''] = /^\/\*$(.*?)^\*\/$/ms.exec(script) ?? []

    expect(part).toContain('EXEC sys.sp_cdc_enable_db;')
    expect(part).toContain('GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::[chartkeep] TO [ward]]reader];')
    expect(part).not.toMatch(/^GO$/m)
    expect(script.replaceAll(/^\/\*$[\s\S]*?^\*\/$/gm, '')).not.toContain('sp_')
  })

  it('makes another login that writes, and numbers rows that are put back', () => {
    const script = setupSql(settings.url, { exclude: [], writer: true })

    expect(script).toContain('ALTER ROLE db_datawriter ADD MEMBER [reader];')
    expect(script).toContain("N' TO [reader];'")
    expect(script).not.toContain('SNAPSHOT')
  })
})

describe('keys as a condition', () => {
  const column = (base: string, parts: Partial<SqlType> = {}): CatalogColumn => ({
    name: 'k',
    declared: base,
    type: { base, maxLength: 10, precision: 6, scale: 2, collation: null, ...parts },
    nullable: false,
    isIdentity: false,
    isComputed: false,
  })
  const condition = (keyed: CatalogColumn, ...texts: string[]) =>
    keysAmong(
      't',
      [keyed],
      texts.map((text) => [Buffer.from(text)]),
    )

  it('are never cut or rounded to fit', () => {
    expect(condition(column('varchar', { collation: 'C' }), 'longer than ten')).toContain(
      "(TRY_CONVERT(varchar(8000), N'longer than ten' COLLATE C))",
    )
    expect(condition(column('decimal'), '1.001')).toBe('1 = 0')
    expect(condition(column('decimal'), '1.5000', '1.001')).toContain("VALUES (TRY_CONVERT(decimal(6,2), N'1.5000')))")
    expect(condition(column('datetime2', { scale: 3 }), '2026-03-01 10:00:00.1234567')).toBe('1 = 0')
  })

  it('are quoted, bytes as bytes, and NULL equals nothing', () => {
    expect(condition(column('nvarchar'), "o'neill\\")).toContain("N'o''neill\\'")
    expect(condition(column('varbinary'), '0x00FF')).toContain('TRY_CONVERT(varbinary(8000), 0x00FF)')
    expect(condition(column('int'), '\\N')).toBe('1 = 0')
  })
})

describe('a server for copies', () => {
  it('is asked for where none is given, and refused where it is none', async () => {
    const wish = { serverVersionNumber: 1600, encoding: 'UTF8', password: 'x', nowMs: () => 0 }
    const refused = async (on: string | null) => {
      const given = on === null ? null : { url: on }
      return await openScratchServer(settings.url, { ...wish, on: given }).catch((error: unknown) => error)
    }

    expect(await refused(null)).toMatchObject({
      code: 'bad-configuration',
      hints: [expect.stringContaining('scratch:'), expect.anything()],
    })
    expect(await refused('sqlserver://drills@localhost:1/icu')).toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining('with a database'),
    })
    expect(await refused('postgres://drills@localhost:1')).toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining('another kind'),
    })
  })
})

function failureOf(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}
