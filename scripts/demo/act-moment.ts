/**
 * A moment between the two snapshots, of which nobody took a backup: PostgreSQL is asked what every table holds then,
 * and again, at the end, of a database that was rebuilt as of that moment.
 */
import { type DatabaseLook, digestByPostgres, lookNow } from './databases.ts'
import { formatCount, formatSeconds } from './format.ts'
import { type MomentResult, type RestoreResult, shapes } from './result.ts'
import type { Stage } from './stage.ts'

const REBUILT = 'icu_at_the_moment'

/** Nobody may be at work meanwhile. */
export async function chooseMoment({ story, sourceUrl }: Stage): Promise<DatabaseLook> {
  return await story.does(
    'moment',
    () => lookNow(sourceUrl),
    ({ at, tables }) => `${at}: the ward pauses, and PostgreSQL digests its ${tables.size} tables; then work goes on`,
  )
}

export async function rebuildMoment({ story, places, server }: Stage, then: DatabaseLook): Promise<MomentResult> {
  const into = await server.createDatabase(REBUILT)
  const command = ['restore', 'database', '--config', places.configuration, '--at', then.at, '--into', into]
  const restore = await story.asks('restore-moment', command, shapes.restore, describe)
  const { plan } = restore
  story.expect('restore-moment', plan?.log !== null && plan?.log !== undefined, 'it was rebuilt without the change log')

  const older = new Set(plan?.tablesAsOfSnapshot.map(({ table }) => table))
  const work = async () => {
    const found = await digestByPostgres(into, [...then.tables.keys()])
    return [...then.tables].map(([table, { rows, md5 }]) => ({
      table,
      rows,
      md5Then: md5,
      md5Rebuilt: found.get(table)?.md5 ?? '',
      isAsOfSnapshot: older.has(table.replaceAll('"', '')),
    }))
  }
  const tables = await story.does('prove-moment', work, (compared) => {
    const same = compared.filter(({ md5Then, md5Rebuilt }) => md5Then === md5Rebuilt).length
    const standing = older.size === 0 ? '' : `; ${older.size} without a primary key stand as of the snapshot before`
    return `${same} of ${compared.length} tables have the MD5 that PostgreSQL computed then${standing}`
  })
  const wrong = tables.filter((each) => each.md5Then !== each.md5Rebuilt && !each.isAsOfSnapshot)
  story.expect('prove-moment', wrong.length === 0, `these tables differ: ${wrong.map(({ table }) => table).join(', ')}`)
  return { at: then.at, restore, tables }
}

function describe({ plan, rows, secondsUsable, secondsProof }: RestoreResult): string {
  const transaction = plan?.transaction
  return [
    ...(plan ? [`snapshot ${plan.snapshot} and ${plan.log?.segments ?? 0} segments of the change log`] : []),
    ...(transaction ? [`up to transaction ${transaction.xid}, committed ${transaction.time}`] : []),
    `usable after ${formatSeconds(secondsUsable)}: ${formatCount(rows)} rows; proved in ${formatSeconds(secondsProof)}`,
  ].join('\n')
}
