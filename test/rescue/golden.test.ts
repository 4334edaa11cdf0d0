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
import {
  copyGolden,
  expectedTables,
  GOLDEN,
  GOLDEN_PACKS_2,
  goldenSecrets,
  goldenSnapshots,
  readFiles,
} from '../support/golden.ts'
import { never } from '../support/repository.ts'
import { runRescue } from '../support/run-rescue.ts'

const MEMORY_KILOBYTES_MAX = 250 * 1024

interface Copy {
  readonly directory: string
  readonly out: string
}

/** A copy of a golden repository, and where to write, for the tests around it. */
function useCopy(golden: string): Copy {
  const used = { directory: '', out: '' }
  let copy: Awaited<ReturnType<typeof copyGolden>>
  beforeAll(async () => {
    copy = await copyGolden(golden)
    used.directory = copy.directory
    used.out = await mkdtemp(join(tmpdir(), 'chartkeep-rescued-'))
  })
  afterAll(async () => {
    await copy?.[Symbol.asyncDispose]()
    await rm(used.out, { recursive: true, force: true })
  })
  return used
}

async function open({ directory }: Copy, secret: UnlockSecret): Promise<Repository> {
  const settings = { url: `file://${directory}` }
  return await openRepository(await openStore(settings), settings, secret)
}

/** Tables as a directory of the second reader holds them, told by their content alone. */
async function rescuedTexts(directory: string): Promise<Buffer[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.copy'))
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name))))
  return texts.sort(Buffer.compare)
}

const goldens = [
  ['format 1', GOLDEN],
  ['format 1 with packs of version 2', GOLDEN_PACKS_2],
] as const

describe.each(goldens)('the golden repository of %s', (_, golden) => {
  const copy = useCopy(golden)

  test('has every file it was made with, unchanged, and no other', async () => {
    const found = await readFiles(golden)
    const list = Buffer.from(found.get('files.sha256')!).toString('utf8').trimEnd().split('\n')
    const listed = new Map(list.map((line) => [line.slice(66), line.slice(0, 64)]))
    found.delete('files.sha256')

    const hashes = [...found].map(([name, bytes]) => [name, createHash('sha256').update(bytes).digest('hex')] as const)

    expect(hashes).toEqual([...listed].sort(([a], [b]) => (a < b ? -1 : 1)))
    expect(found.size).toBeGreaterThan(40)
  })

  test('opens by its passphrase, its key file and its recovery sheet, and its ledger and audit hold', async () => {
    for (const secret of Object.values(await goldenSecrets(golden))) {
      await using repository = await open(copy, secret)
      expect(await repository.snapshotIds()).toEqual(await goldenSnapshots(golden))
      expect((await repository.ledger.read()).entries).toHaveLength(2)
      expect(await repository.audit.read()).toHaveLength(2)
    }
  })

  test('continues the checkpoint that was kept after its first snapshot', async () => {
    await using repository = await open(copy, (await goldenSecrets(golden)).keyFile)
    const note = await readFile(join(golden, 'checkpoint.txt'))
    const checkpoint = openCheckpoint(note, [repository.ledger.verifierKey], repository.ledger.origin)

    expect(verifyAgainst(await repository.ledger.read(), checkpoint)).toEqual({
      kind: 'consistent',
      size: 2,
      grewBy: 1,
    })
  })

  test('gives every table to the second reader as COPY gave it, with little memory', async () => {
    for (const snapshotId of await goldenSnapshots(golden)) {
      const target = join(copy.out, snapshotId)
      const sheet = join(golden, 'recovery-sheet.txt')
      const options = ['--repo', copy.directory, '--recovery-sheet', sheet, '--out', target, '--snapshot', snapshotId]
      const run = await runRescue(...options)
      const expected = [...(await expectedTables(snapshotId, golden)).values()].sort(Buffer.compare)

      expect(run).toMatchObject({ status: 0, stderr: '' })
      expect(await rescuedTexts(target)).toEqual(expected)
      expect(run.memoryKilobytesMax).toBeLessThan(MEMORY_KILOBYTES_MAX)
    }
  })
})

describe.each(goldens)('the golden repository of %s, in a real server', (_, golden) => {
  const copy = useCopy(golden)
  let server: PostgresServer

  beforeAll(async () => {
    server = await startPostgres({})
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  test('comes back, each snapshot with the rows that COPY gave when it was taken', async () => {
    await using repository = await open(copy, (await goldenSecrets(golden)).keyFile)
    await using buildPool = new BuildPool(1)
    for (const snapshotId of await goldenSnapshots(golden)) {
      const url = await server.createDatabase(`golden_${snapshotId.slice(-8)}`)
      const { manifest } = await repository.readManifest(snapshotId)
      const into = { url }
      const world = { signal: never(), nowMs: () => Date.UTC(2026, 5, 1), onProgress: () => {} }
      const report = await restoreDatabase({ repository, manifest, into, buildPool, ...world })
      const expected = await expectedTables(snapshotId, golden)

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
