/**
 * Values of megabytes, backed up and rebuilt, on the server of `TEST_SQLSERVER_URL`; `TEST_SQLSERVER_LARGE_MIB` makes
 * them as large as one likes (docs/TESTED.md has what was run).
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { lastObject, runCommand } from '../../cli/cli-support.ts'
import { ask, createDatabase, dropDatabases, password, run, serverUrl } from './server.ts'

const MIB = 1024 * 1024
const BYTES = Number(process.env.TEST_SQLSERVER_LARGE_MIB ?? 3) * MIB
const TIMEOUT_MS = 1_200_000
/** Three bytes of UTF-8, two of the server's; a tab and a backslash, which lines escape. */
const PIECE = "N'病历' + NCHAR(9) + N'a\\b'"
const PIECE_BYTES = 2 * 6

const MADE = `
CREATE TABLE dbo.document (id int NOT NULL PRIMARY KEY, body nvarchar(max) NULL, scan varbinary(max) NULL)
GO
INSERT INTO dbo.document SELECT 1, REPLICATE(CONVERT(nvarchar(max), ${PIECE}), ${Math.floor(BYTES / PIECE_BYTES)}), NULL
GO
INSERT INTO dbo.document SELECT 2, NULL, CONVERT(varbinary(max), REPLICATE(CONVERT(varchar(max), 'scan of a page..'), ${Math.floor(BYTES / 16)}))
GO
INSERT INTO dbo.document SELECT 3, N'small', 0x00FF`

describe.skipIf(serverUrl === undefined)('values of megabytes', { timeout: TIMEOUT_MS }, () => {
  let folder: string
  let source: ConnectionSettings

  const command = async (...args: readonly string[]) => {
    const environment = { SQLCMDPASSWORD: password, CHARTKEEP_KEY_FILE: join(folder, 'repository.key') }
    return await runCommand(args, folder, environment, TIMEOUT_MS)
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chartkeep-sqlserver-'))
    await writeFile(join(folder, 'repository.key'), randomBytes(32), { mode: 0o600 })
    source = await createDatabase()
    await run(source, MADE)
    const drafted = await command('discover', source.url, '--repo', `file://${join(folder, 'repository')}`)
    await writeFile(join(folder, 'chartkeep.yaml'), drafted.stdout)
    await command('init')
  }, TIMEOUT_MS)

  afterAll(async () => {
    await dropDatabases()
    if (folder) await rm(folder, { recursive: true, force: true })
  }, TIMEOUT_MS)

  it('come back exactly', async () => {
    const backup = await command('backup', '--json')
    expect([backup.status, backup.stderr]).toEqual([0, ''])
    expect(lastObject(backup.stdout)).toMatchObject({ rows: 3 })
    const rebuilt = await createDatabase()
    const restored = await command('restore', 'database', '--into', rebuilt.url, '--json')
    expect([restored.status, restored.stderr]).toEqual([0, ''])
    expect(lastObject(restored.stdout)).toMatchObject({ rows: 3, verified: true })
    const sizes = 'SELECT id, DATALENGTH(body) AS body, DATALENGTH(scan) AS scan FROM dbo.document ORDER BY id'
    const there = await ask(source, sizes)
    expect(await ask(rebuilt, sizes)).toEqual(there)
    expect(Number(there[1]?.scan)).toBe(Math.floor(BYTES / 16) * 16)
  })
})
