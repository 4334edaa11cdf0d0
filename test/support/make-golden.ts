/**
 * Makes a golden repository: `node launch.mjs test/support/make-golden.ts DIRECTORY`. Run once for each format version, looked
 * at, committed, and never again: `test/rescue/golden.test.ts` fails when a file of an old one changes.
 *
 *     repository/              as init, two snapshots, a rotated data key, a second wrapper and a revoked signer leave it
 *     passphrase, key-file     what opens it
 *     recovery-sheet.txt       and what opens it when those are lost
 *     expected/<snapshot>/     COPY text of every table by PostgreSQL itself, sorted by key
 *     checkpoint.txt           the ledger's checkpoint after the first snapshot
 *     files.sha256             `sha256sum -c` proves the rest
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { startPostgres } from '../../scripts/support/postgres-server.ts'
import { takeSnapshot } from '../../src/backup/snapshot.ts'
import { BuildPool } from '../../src/intake/build-pool.ts'
import { renderRecoverySheet } from '../../src/repository/crypto/recovery-sheet.ts'
import { formatVerifierKey } from '../../src/repository/ledger/signed-note.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { initRepository, openRepository } from '../../src/repository/repository-lifecycle.ts'
import { createSigner, revokeSigner } from '../../src/repository/signers.ts'
import { createStore, openStore } from '../../src/repository/store/open.ts'
import { addWrapper, rotateDataKey } from '../../src/repository/unlocking.ts'
import { openSource } from '../../src/source/open.ts'
import { runSql } from '../source/postgres/support.ts'
import { copySorted } from './copy-oracle.ts'
import { GOLDEN_FIRST_SQL, GOLDEN_LAYOUT, GOLDEN_SECOND_SQL } from './golden-source.ts'

const PASSPHRASE = '重症 correct horse battery staple'
const KEY_FILE = Buffer.from('golden key file: thirty-two bytes at least, and no secret to anybody\n')
const FIRST_MS = Date.UTC(2026, 0, 2, 3, 4, 5)
const DAY_MS = 24 * 3600 * 1000

const target = resolve(process.argv[2] ?? '')
const settings = { url: `file://${join(target, 'repository')}` }
const secret = { kind: 'passphrase', passphrase: PASSPHRASE } as const

await mkdir(target, { recursive: true })
await using server = await startPostgres({})
const url = await server.createDatabase('golden')
await runSql(url, ...GOLDEN_FIRST_SQL)

const world = { nowMs: () => FIRST_MS - 1000, random: randomBytes }
const made = await initRepository(await createStore(settings), settings, [secret], world)
await snapshot(made.repository, FIRST_MS)
await writeFile(join(target, 'checkpoint.txt'), (await made.repository.ledger.checkpoint('2026-01-02T04:00:00Z')).note)
await addWrapper(made.repository, { kind: 'key-file', bytes: KEY_FILE }, { ...world, nowMs: () => FIRST_MS + 1000 })
await rotateDataKey(made.repository, world)
const { sealed } = made.repository
const signerId = '20260102T050000Z-0000000a'
await createSigner(sealed, { signerId, name: '张 医生', role: 'approver', createdAt: '2026-01-02T05:00:00.000Z' })
const at = '2026-01-02T06:00:00.000Z'
await revokeSigner(sealed, { signerId, from: at, ledgerSize: 1, reason: 'has left', revokedAt: at })
const sheet = renderRecoverySheet({
  repositoryId: made.repository.id,
  repositoryUrl: 'file:///golden',
  createdAt: made.createdAt,
  verifierKey: formatVerifierKey(made.repository.ledger.verifierKey),
  secret: made.recoverySecret,
})
await made.repository[Symbol.asyncDispose]()

await runSql(url, ...GOLDEN_SECOND_SQL)
await using reopened = await openRepository(await openStore(settings), settings, secret)
await snapshot(reopened, FIRST_MS + DAY_MS)
for (const action of ['snapshot.take', 'key.revoke']) {
  await reopened.audit.append({ time: at, actor: 'golden', action, subject: 'golden', outcome: 'done', detail: '' })
}

await writeFile(join(target, 'passphrase'), `${PASSPHRASE}\n`)
await writeFile(join(target, 'key-file'), KEY_FILE)
await writeFile(join(target, 'recovery-sheet.txt'), sheet)
await writeFile(join(target, 'files.sha256'), await hashList())

async function snapshot(repository: Repository, nowMs: number): Promise<void> {
  await using source = await openSource({ url })
  await using pool = new BuildPool(1)
  const report = await takeSnapshot({
    sourceName: 'icu',
    source,
    layout: GOLDEN_LAYOUT,
    repository,
    pool,
    signal: new AbortController().signal,
    nowMs: () => nowMs,
    sleep: async () => {},
    onProgress: () => {},
  })
  const { manifest } = await repository.readManifest(report.snapshot)
  const directory = join(target, 'expected', report.snapshot)
  await mkdir(directory, { recursive: true })
  for (const [index, table] of manifest.tables.entries()) {
    const columns = table.columns.map((column) => column.name)
    const name = `${String(index).padStart(2, '0')}.copy`
    await writeFile(join(directory, name), await copySorted(url, { ...table, columns }))
  }
  const names = manifest.tables.map((table, index) => `${String(index).padStart(2, '0')}.copy\t${table.name}\n`)
  await writeFile(join(directory, 'tables.txt'), names.join(''))
}

async function hashList(): Promise<string> {
  const entries = await readdir(target, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(target.length + 1))
  const lines: string[] = []
  for (const path of paths.sort()) {
    const digest = createHash('sha256')
      .update(await readFile(join(target, path)))
      .digest('hex')
    lines.push(`${digest}  ${path}\n`)
  }
  return lines.join('')
}
