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
import { copyLines, differences, dropDatabase } from './site.ts'

export interface LiveOptions {
  readonly snapshot: Manifest
  /** Whether a change is slipped past capture, too. */
  readonly slips: boolean
  readonly client: pg.Client
}

const ROTTEN = 'public.swap'

const asItIs = (source: Source): Source => source

/** While capture runs, and nobody writes. @returns findings */
export async function judgeLive(options: FollowOptions, { snapshot, slips, client }: LiveOptions): Promise<string[]> {
  // With a change slipped into one table, every other is seen to be the same; then that one is, as it is.
  const unslipped = await compared(options, snapshot, slips ? (source) => withTables(source, [ROTTEN]) : asItIs)
  const findings = unslipped.differing.map(
    (table) => `compare: table ${table} differs, and nothing was slipped past capture`,
  )
  if (!slips) return findings
  await client.query(`CREATE TABLE swap_rot AS SELECT id, v || '!' AS v FROM swap WHERE v IS NOT NULL`)
  await client.query(`INSERT INTO swap_rot VALUES (123456, 'slipped')`)
  const slipped = await compared(options, snapshot, (source) => withOtherRows(source, ROTTEN, `${ROTTEN}_rot`))
  if (slipped.differing.join() !== ROTTEN) {
    const said = slipped.said.join('; ')
    findings.push(`compare: a change slipped past capture in ${ROTTEN}, and [${slipped.differing}] differ: ${said}`)
  }
  return findings
}

/** As if there were no others. */
function withTables(source: Source, names: readonly string[]): Source {
  return {
    capabilities: source.capabilities,
    profile: source.profile,
    changes: source.changes,
    identify: () => source.identify(),
    introspect: async () => {
      const all = await source.introspect()
      return { ...all, tables: all.tables.filter(({ name }) => names.includes(name)) }
    },
    openRead: (read) => source.openRead(read),
    [Symbol.asyncDispose]: async () => {},
  }
}

/** `differing`: those of which it is sure. */
async function compared(
  { made, url }: FollowOptions,
  { snapshotId }: Manifest,
  wrapped: (source: Source) => Source,
): Promise<{ readonly differing: readonly string[]; readonly said: readonly string[] }> {
  await using source = await openSource({ url })
  const request = { repository: made.repository, pool: made.pool, signal: never(), nowMs: Date.now }
  const { findings } = await compareDatabase({
    ...request,
    source: wrapped(source),
    snapshotId,
    expectSameHistory: true,
  })
  const differing = findings.flatMap(({ kind, severity, tables }) =>
    kind === 'rows-differ' && severity === 'error' ? tables : [],
  )
  return { differing, said: findings.map(({ message }) => message) }
}

export interface RestoredOptions extends FollowOptions {
  readonly server: PostgresServer
  readonly model: HistoryModel
  readonly dice: Dice
  readonly manifests: readonly Manifest[]
}

const TRIES = 8
/** The ward's next ones (F24): as many as there are rows with numbers given by hand. */
const NEXT_ROWS = [
  `INSERT INTO public.patient (mrn) SELECT 'next' FROM generate_series(1, 20)`,
  `INSERT INTO public.ticket (v) SELECT 'next' FROM generate_series(1, 300)`,
]

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
  await using _ = { [Symbol.asyncDispose]: () => dropDatabase(server, name) }
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
  const taken: string[] = []
  const client = new pg.Client(into)
  await client.connect()
  try {
    await client.query(
      "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET extra_float_digits = 3; SET search_path = ''",
    )
    for (const { oid, sqlName } of manifest.tables) found.set(oid, await copyLines(client, sqlName))
    for (const insert of NEXT_ROWS) await client.query(insert).catch(() => taken.push(insert))
  } finally {
    await client.end()
  }
  const where = `restored at ${formatLsn(endLsn)} from ${target.base.snapshotId}`
  const wrong = Object.entries(differences(expected, found)).map(([oid, said]) => {
    const table = manifest.tables.find((each) => each.oid === oid)?.name ?? oid
    return `${where}: table ${table}: ${said}`
  })
  return [...wrong, ...taken.map((insert) => `${where}: refused: ${insert}`)]
}
