/**
 * Golden repositories: what was written once is read by today's code and by the second reader, byte for byte as
 * PostgreSQL said it then; and not a byte of them has changed.
 */
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { BuildPool } from '../../src/intake/build-pool.ts'
import type { UnlockSecret } from '../../src/repository/crypto/key-wrapper.ts'
import { openCheckpoint } from '../../src/repository/ledger/checkpoint.ts'
import { verifyAgainst } from '../../src/repository/ledger/log.ts'
import type { TableManifest } from '../../src/repository/manifest.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { openStore } from '../../src/repository/store/open.ts'
import { restoreDatabase } from '../../src/restore/database.ts'
import { copySorted } from '../support/copy-oracle.ts'
import { copyGolden, expectedTables, GOLDEN, goldenSecrets, goldenSnapshots, readFiles } from '../support/golden.ts'
import { never } from '../support/repository.ts'
import { runRescue } from '../support/run-rescue.ts'

const MEMORY_KILOBYTES_MAX = 250 * 1024

let copy: Awaited<ReturnType<typeof copyGolden>>
let out: string

beforeAll(async () => {
  copy = await copyGolden()
  out = await mkdtemp(join(tmpdir(), 'chartkeep-rescued-'))
})

afterAll(async () => {
  await copy?.[Symbol.asyncDispose]()
  await rm(out, { recursive: true, force: true })
})

async function open(secret: UnlockSecret): Promise<Repository> {
  const settings = { url: `file://${copy.directory}` }
  return await openRepository(await openStore(settings), settings, secret)
}

/** Tables as a directory of the second reader holds them, told by their content alone. */
async function rescuedTexts(directory: string): Promise<Buffer[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.copy'))
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name))))
  return texts.sort(Buffer.compare)
}

describe('the golden repository of format 1', () => {
  test('has every file it was made with, unchanged, and no other', async () => {
    const found = await readFiles(GOLDEN)
    const list = Buffer.from(found.get('files.sha256')!).toString('utf8').trimEnd().split('\n')
    const listed = new Map(list.map((line) => [line.slice(66), line.slice(0, 64)]))
    found.delete('files.sha256')

    const hashes = [...found].map(([name, bytes]) => [name, createHash('sha256').update(bytes).digest('hex')] as const)

    expect(hashes).toEqual([...listed].sort(([a], [b]) => (a < b ? -1 : 1)))
    expect(found.size).toBeGreaterThan(40)
  })

  test('opens by its passphrase, its key file and its recovery sheet, and its ledger and audit hold', async () => {
    for (const secret of Object.values(await goldenSecrets())) {
      await using repository = await open(secret)
      expect(await repository.snapshotIds()).toEqual(await goldenSnapshots())
      expect((await repository.ledger.read()).entries).toHaveLength(2)
      expect(await repository.audit.read()).toHaveLength(2)
    }
  })

  test('continues the checkpoint that was kept after its first snapshot', async () => {
    await using repository = await open((await goldenSecrets()).keyFile)
    const note = await readFile(join(GOLDEN, 'checkpoint.txt'))
    const checkpoint = openCheckpoint(note, [repository.ledger.verifierKey], repository.ledger.origin)

    expect(verifyAgainst(await repository.ledger.read(), checkpoint)).toEqual({
      kind: 'consistent',
      size: 2,
      grewBy: 1,
    })
  })

  test('gives every table to the second reader as COPY gave it, with little memory', async () => {
    for (const snapshotId of await goldenSnapshots()) {
      const target = join(out, snapshotId)
      const sheet = join(GOLDEN, 'recovery-sheet.txt')
      const options = ['--repo', copy.directory, '--recovery-sheet', sheet, '--out', target, '--snapshot', snapshotId]
      const run = await runRescue(...options)
      const expected = [...(await expectedTables(snapshotId)).values()].sort(Buffer.compare)

      expect(run).toMatchObject({ status: 0, stderr: '' })
      expect(await rescuedTexts(target)).toEqual(expected)
      expect(run.memoryKilobytesMax).toBeLessThan(MEMORY_KILOBYTES_MAX)
    }
  })
})

describe('the golden repository of format 1, in a real server', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await startPostgres({})
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  test('comes back, each snapshot with the rows that COPY gave when it was taken', async () => {
    await using repository = await open((await goldenSecrets()).keyFile)
    await using buildPool = new BuildPool(1)
    for (const snapshotId of await goldenSnapshots()) {
      const url = await server.createDatabase(`golden_${snapshotId.slice(-8)}`)
      const { manifest } = await repository.readManifest(snapshotId)
      const into = { url }
      const world = { signal: never(), nowMs: () => Date.UTC(2026, 5, 1), onProgress: () => {} }
      const report = await restoreDatabase({ repository, manifest, into, buildPool, ...world })
      const expected = await expectedTables(snapshotId)

      expect(report.verified).toBe(true)
      for (const table of manifest.tables) {
        expect(await copySorted(url, columnsOf(table)), table.name).toEqual(expected.get(table.name))
      }
    }
  })
})

function columnsOf(table: TableManifest) {
  return { ...table, columns: table.columns.map((column) => column.name) }
}
