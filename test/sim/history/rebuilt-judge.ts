/**
 * What the commands do at the end of a history: the live database is compared with what is stored, with a change slipped
 * past capture and without; and a database is rebuilt as of some moment, and read by plain COPY.
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import pg from 'pg'
import type { PostgresServer } from '../../../scripts/support/postgres-server.ts'
import { Failure } from '../../../src/errors.ts'
import { formatLsn, parseLsn } from '../../../src/repository/lsn.ts'
import type { Manifest } from '../../../src/repository/manifest.ts'
import { stateAt } from '../../../src/repository/state/state.ts'
import { resolveTarget } from '../../../src/repository/state/target.ts'
import { restoreDatabase } from '../../../src/restore/database.ts'
import type { Source } from '../../../src/source/contract.ts'
import { openSource } from '../../../src/source/open.ts'
import { compareDatabase } from '../../../src/verify/compare.ts'
import { never } from '../../support/repository.ts'
import { withOtherRows } from '../../support/rotten-source.ts'
import type { FollowOptions } from './chartkeep.ts'
import type { Dice } from './dice.ts'
import type { HistoryModel } from './model.ts'
import { copyLines, differences } from './site.ts'

export interface LiveOptions {
  readonly snapshot: Manifest
  /** Whether a change is slipped past capture, too. */
  readonly slips: boolean
  readonly client: pg.Client
}

const ROTTEN = 'public.swap'

/** While capture runs, and nobody writes. @returns findings */
export async function judgeLive(options: FollowOptions, { snapshot, slips, client }: LiveOptions): Promise<string[]> {
  const differing = await differingTables(options, snapshot, (source) => source)
  const findings = differing.map((table) => `compare: table ${table} differs, and nothing was slipped past capture`)
  if (!slips) return findings
  await client.query(`CREATE TABLE swap_rot AS SELECT id, v || '!' AS v FROM swap WHERE v IS NOT NULL`)
  await client.query(`INSERT INTO swap_rot VALUES (123456, 'slipped')`)
  const named = await differingTables(options, snapshot, (source) => withOtherRows(source, ROTTEN, `${ROTTEN}_rot`))
  if (named.join() !== ROTTEN)
    findings.push(`compare: a change slipped past capture in ${ROTTEN}, and [${named}] differ`)
  return findings
}

/** Those of which it is sure. */
async function differingTables(
  { made, url }: FollowOptions,
  { snapshotId }: Manifest,
  wrapped: (source: Source) => Source,
): Promise<string[]> {
  await using source = await openSource({ url })
  const request = { repository: made.repository, pool: made.pool, signal: never(), nowMs: () => 0 }
  const compared = await compareDatabase({ ...request, source: wrapped(source), snapshotId, expectSameHistory: true })
  return compared.findings.flatMap(({ kind, severity, tables }) =>
    kind === 'rows-differ' && severity === 'error' ? tables : [],
  )
}

export interface RestoredOptions extends FollowOptions {
  readonly server: PostgresServer
  readonly model: HistoryModel
  readonly dice: Dice
  readonly manifests: readonly Manifest[]
}

const TRIES = 8

/** Where a commit ends, behind the first snapshot; another one, where tables are not known at that. @returns findings */
export async function judgeRestored(options: RestoredOptions): Promise<string[]> {
  const { model, manifests, dice, made, sourceName } = options
  const first = parseLsn(manifests[0]!.position.lsn)
  const commits = model.commits.filter(({ endLsn }) => endLsn >= first)
  for (let attempt = 0; attempt < TRIES && commits.length > 0; attempt += 1) {
    const { endLsn } = dice.pick(commits)
    try {
      const target = await resolveTarget({ repository: made.repository, sourceName, at: formatLsn(endLsn) })
      return await restoredAt(options, endLsn, target)
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'change-log-gap') throw error
    }
  }
  return []
}

async function restoredAt(
  { made, server, model }: RestoredOptions,
  endLsn: bigint,
  target: Awaited<ReturnType<typeof resolveTarget>>,
): Promise<string[]> {
  const name = `restored_${randomBytes(4).toString('hex')}`
  const into = await server.createDatabase(name)
  await using state = await stateAt(made.repository, target, {
    temporaryDirectory: tmpdir(),
    random: randomBytes,
    signal: never(),
  })
  const { repository, manifest } = state
  const order = { repository, manifest, into: { url: into }, buildPool: made.pool, signal: never() }
  await restoreDatabase({ ...order, nowMs: () => 0, onProgress: () => {} })

  const coarse = new Set(target.coarse.map(({ table }) => table))
  const [then, atBase] = [model.rowsAt(endLsn), model.rowsVisible(target.base.position.visible)]
  const expected = new Map(
    manifest.tables.map(({ name: table, oid }) => [oid, (coarse.has(table) ? atBase : then).get(oid) ?? []]),
  )
  const found = new Map<string, readonly string[]>()
  const client = new pg.Client(into)
  await client.connect()
  try {
    await client.query(
      "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET extra_float_digits = 3; SET search_path = ''",
    )
    for (const { oid, sqlName } of manifest.tables) found.set(oid, await copyLines(client, sqlName))
  } finally {
    await client.end()
  }
  return Object.entries(differences(expected, found)).map(([oid, said]) => {
    const table = manifest.tables.find((each) => each.oid === oid)?.name ?? oid
    return `restored at ${formatLsn(endLsn)} from ${target.base.snapshotId}: table ${table}: ${said}`
  })
}
