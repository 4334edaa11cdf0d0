/**
 * Makes a golden change log: `node launch.mjs test/support/make-golden-log.ts DIRECTORY`. Run once, looked at, committed, and
 * never again.
 *
 *     repository/       two logs, the second with every kind of change, a transaction in three parts, one that was broken
 *                       off and sent again, a closed table, segments without transactions; a lease that was renewed
 *     key-file          what opens it
 *     expected/         every change of each log, as lines of `chartkeep-rescue.mjs --log --out`
 *     files.sha256      `sha256sum -c` proves the rest
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { LoggedTransaction } from '../../src/repository/change-log/change.ts'
import { ChangeLogWriter } from '../../src/repository/change-log/writer.ts'
import { acquireLease } from '../../src/repository/lease.ts'
import { initRepository } from '../../src/repository/repository-lifecycle.ts'
import { createStore } from '../../src/repository/store/open.ts'
import { LOG_TABLES, logStart, segmentDraft, transactionAt } from './change-log.ts'
import { runRescue } from './run-rescue.ts'

const KEY_FILE = Buffer.from('golden key file: thirty-two bytes at least, and no secret to anybody\n')
const FIRST_MS = Date.UTC(2026, 0, 2, 3, 4, 5)

const target = resolve(process.argv[2] ?? '')
const settings = { url: `file://${join(target, 'repository')}` }
let nowMs = FIRST_MS
const world = { nowMs: () => nowMs, random: randomBytes }
const secret = { kind: 'key-file', bytes: KEY_FILE } as const

await mkdir(target, { recursive: true })
const { repository } = await initRepository(await createStore(settings), settings, [secret], world)
const lease = await acquireLease(repository, { name: 'capture-golden', holder: 'golden', leaseMs: 30_000, ...world })

const first = await ChangeLogWriter.begin(repository, logStart(), world)
await first.append(segmentDraft(1010n, { transactions: [transactionAt(1000n, 3)], leaseToken: lease.token }))
nowMs += 5_000
await lease.renew()
const previousLog = { logId: first.start.logId, reason: 'slot chartkeep_icu is gone', end: 1010n }
const second = await ChangeLogWriter.begin(repository, logStart({ previousLog }), world)
const [sign, note, record] = LOG_TABLES as [(typeof LOG_TABLES)[0], (typeof LOG_TABLES)[0], (typeof LOG_TABLES)[0]]
const leaseToken = lease.token
const giant = transactionAt(1000n, 6)
const part = (from: number, to: number): LoggedTransaction[] => [{ ...giant, changes: giant.changes.slice(from, to) }]
await second.append(segmentDraft(1000n, { transactions: part(0, 3), unfinished: true, leaseToken }))
await second.append(segmentDraft(1000n, { transactions: part(0, 2), unfinished: true, leaseToken }))
await second.append(segmentDraft(1000n, { transactions: part(2, 4), continues: true, unfinished: true, leaseToken }))
const mixed = transactionAt(1010n, 0, {
  mark: 'changeset 7',
  commitTimeUs: 1_767_225_599_999_999n,
  changes: [
    { kind: 'update', table: sign, before: null, after: Buffer.from('1\t\\u\t心率') },
    { kind: 'update', table: note, before: Buffer.from('1\t\\u'), after: Buffer.from('2\told\\tnote') },
    { kind: 'delete', table: record, before: Buffer.from('\\u\t7\t\\u\t\\u'), after: null },
    { kind: 'truncate', table: note, before: null, after: null },
  ],
})
const tables = new Map([...logStart().fingerprint.tables, ['public.note', 'b']])
await second.append(
  segmentDraft(1020n, {
    transactions: [...part(4, 6), mixed],
    continues: true,
    fingerprint: { digest: 'next', lsn: 1025n, tables },
    leaseToken,
  }),
)
await second.append(segmentDraft(1030n, { fingerprint: { digest: 'next', lsn: 1030n, tables }, leaseToken }))
await lease.release()
await repository[Symbol.asyncDispose]()

await writeFile(join(target, 'key-file'), KEY_FILE)
const where = ['--repo', join(target, 'repository'), '--key-file', join(target, 'key-file')]
const { status } = await runRescue(...where, '--log', '--out', join(target, 'expected'))
if (status !== 0) throw new Error('the second reader does not read it')
await writeFile(join(target, 'files.sha256'), await hashList())

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
