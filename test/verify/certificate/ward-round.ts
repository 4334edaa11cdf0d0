/**
 * The reference ward at work between two snapshots, and, when it has gone home, rows deleted or changed past the
 * application: what nothing explains must be exactly these.
 */

import { stringify } from 'yaml'
import { referenceConfiguration } from '../../../scripts/reference/configuration.ts'
import { createReferenceDatabase } from '../../../scripts/reference/create.ts'
import { referenceExplain } from '../../../scripts/reference/explain.ts'
import { Random } from '../../../scripts/reference/random.ts'
import { startWard } from '../../../scripts/reference/ward.ts'
import type { PostgresServer } from '../../../scripts/support/postgres-server.ts'
import { parseConfiguration } from '../../../src/config.ts'
import type { Manifest } from '../../../src/repository/manifest.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { comparePeriod } from '../../../src/verify/certificate/compare-period.ts'
import type { ExplainRules } from '../../../src/verify/certificate/rules.ts'
import { readPeriod } from '../../../src/verify/certificate/steps.ts'
import { onDatabase } from '../../restore/patient/small-ward.ts'
import { type CapturedDatabase, captureDatabase } from '../../support/capture-by-hand.ts'
import { never, type TestRepository } from '../../support/repository.ts'

export interface WardSite extends AsyncDisposable {
  round(seed: number, turns: number): Promise<WardRound>
}

export interface WardRound {
  readonly actions: number
  readonly changes: number
  /** What was planted, and what nothing explains; sorted, each `table kind rows`. */
  readonly planted: readonly string[]
  readonly accused: readonly string[]
  readonly balanceCloses: boolean
}

/** Each makes another row of any row, however often it is done. */
const PLANTS = [
  ['public.vital_sign', 'vital_id', 'value = value + 0.1'],
  // To another part of the table.
  ['public.vital_sign', 'vital_id', "recorded_at = recorded_at + interval '31 days'"],
  ['public.lab_result', 'result_id', "value_text = value_text || 'x'"],
  ['public.nursing_record', 'record_id', "content = content || 'x'"],
  ['public.fluid_balance', 'fluid_id', 'volume_ml = volume_ml + 1'],
  ['public.score', 'stay_id', 'total = total + 1'],
] as const

export async function openWardSite(server: PostgresServer, made: TestRepository, rows: number): Promise<WardSite> {
  const url = await server.createDatabase(`ward_${Math.floor(performance.now())}`)
  await createReferenceDatabase({ url, rows, seed: 1 })
  const source = { url: 'postgres://host/icu', ...referenceConfiguration(), explain: referenceExplain() }
  const file = stringify({ repository: { url: 'file:///nowhere' }, sources: { icu: source } })
  const [configured] = parseConfiguration(file, { path: 'test.yaml' }).sources
  const [keyed] = await onDatabase(
    url,
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
       WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text IN ('public', 'dict', 'audit')`,
  )
  const tables = keyed!.rows.map(({ name }: { name: string }) => name)
  const captured = await captureDatabase({ made, url, layout: configured!, tables })
  const repository = await made.open()
  let last = await captured.snapshot()
  return {
    round: async (seed, turns) => {
      const baseline = last
      const actions = await playWard(url, seed, turns)
      const planted = await plant(url, new Random(seed, 'plant'))
      last = await snapshotNow(captured)
      return { actions, planted, ...(await judge(repository, baseline, last, configured!.explain!)) }
    },
    [Symbol.asyncDispose]: async () => {
      await captured[Symbol.asyncDispose]()
      await repository[Symbol.asyncDispose]()
    },
  }
}

/** A share of the turns at least does something: a ward of which everybody was discharged waits for its next admissions. */
const BUSY_SHARE = 0.4
const GOES_MAX = 10

async function playWard(url: string, seed: number, turns: number): Promise<number> {
  let done = 0
  for (let go = 0; go < GOES_MAX && done < turns * BUSY_SHARE; go += 1) {
    const ward = await startWard({
      url,
      seed: seed + go * 2 ** 31,
      actionsPerSecond: Number.POSITIVE_INFINITY,
      deletionShare: 0.08,
      actionsMax: turns,
    })
    done += (await ward.finished).actions
  }
  return done
}

async function snapshotNow(captured: CapturedDatabase): Promise<Manifest> {
  await captured.caughtUp()
  return await captured.snapshot()
}

async function plant(url: string, random: Random): Promise<string[]> {
  const done = new Map<string, number>()
  for (const [table, key, change] of PLANTS) {
    if (!random.chance(0.6)) continue
    const isDelete = random.chance(0.5) && !change.startsWith('recorded_at')
    const wanted = `ORDER BY md5(${key}::text || '${random.hex(4)}') LIMIT ${random.within(1, 5)}`
    // Rows of a partitioned table have no place of their own: they go by their numbers.
    const place = table === 'public.vital_sign' ? key : 'ctid'
    const which = `WHERE ${place} IN (SELECT ${place} FROM ${table} ${wanted})`
    const [result] = await onDatabase(
      url,
      isDelete ? `DELETE FROM ${table} ${which}` : `UPDATE ${table} SET ${change} ${which}`,
    )
    const id = `${table} ${isDelete ? 'delete' : 'update'}`
    if (result!.rowCount) done.set(id, (done.get(id) ?? 0) + result!.rowCount)
  }
  return [...done].map(([id, rows]) => `${id} ${rows}`).sort()
}

async function judge(repository: Repository, baseline: Manifest, end: Manifest, rules: ExplainRules) {
  const period = await readPeriod(repository, baseline, end)
  const { tables } = await comparePeriod(repository, period, { rules, signal: never(), onTable: () => {} })
  const unexplained = new Map<string, number>()
  let changes = 0
  let balanceCloses = true
  for (const { balance, before, after } of tables) {
    const cells = [...(balance?.cells.values() ?? [])]
    for (const cell of cells) {
      changes += cell.inserted + cell.updated + cell.deleted
      balanceCloses &&= cell.now === cell.baseline + cell.inserted - cell.deleted + cell.movedIn - cell.movedOut
      for (const [kind, count] of [
        ['update', cell.updatedUnexplained],
        ['delete', cell.deletedUnexplained],
      ] as const) {
        const id = `${balance!.table} ${kind}`
        if (count > 0) unexplained.set(id, (unexplained.get(id) ?? 0) + count)
      }
    }
    balanceCloses &&= cells.reduce((sum, { now }) => sum + now, 0) === (after?.rows.rows ?? 0)
    balanceCloses &&= cells.reduce((sum, cell) => sum + cell.baseline, 0) === (before?.rows.rows ?? 0)
  }
  const accused = [...unexplained].map(([id, count]) => `${id} ${count}`).sort()
  return { accused, changes, balanceCloses }
}
