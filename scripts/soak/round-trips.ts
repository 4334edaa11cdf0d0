/**
 * Whole databases through the repository and back: the reference database at size S, and any other database that is
 * given as a pg_dump archive (CHARTKEEP_SOAK_DUMP=FILE). Once each: what is random here is the seed of the data.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parseConfiguration } from '../../src/config.ts'
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import { discover, renderDraft } from '../../src/source/discover.ts'
import { openSource } from '../../src/source/open.ts'
import { toLayout } from '../../test/support/layout.ts'
import { roundTrip } from '../../test/support/round-trip.ts'
import { referenceConfiguration } from '../reference/configuration.ts'
import { createReferenceDatabase } from '../reference/create.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { SoakPart, SoakTally } from './part.ts'

export const roundTripS: SoakPart = {
  name: 'round-trip-s',
  run: async ({ seed }) => {
    await using server = await startPostgres()
    const sourceUrl = await server.createDatabase('icu')
    await createReferenceDatabase({ url: sourceUrl, size: 'S', seed })
    return await judged(sourceUrl, await server.createDatabase('rebuilt'), toLayout(referenceConfiguration()))
  },
}

/** Version 15, because Debian's pg_restore is needed to load the archive. */
export const roundTripDump: SoakPart = {
  name: 'round-trip-dump',
  run: async () => {
    const file = process.env.CHARTKEEP_SOAK_DUMP
    if (!file) return { tried: 0, failures: [], figures: {} }
    await using server = await startPostgres({ version: 15 })
    const sourceUrl = await server.createDatabase('dumped')
    const pgRestore = join(server.binDirectory, 'pg_restore')
    execFileSync(pgRestore, ['-j2', '--no-owner', '-d', sourceUrl, file], { stdio: 'inherit' })
    return await judged(sourceUrl, await server.createDatabase('rebuilt'), await discovered(sourceUrl))
  },
}

async function discovered(url: string): Promise<PatientLayout> {
  await using source = await openSource({ url })
  const draft = renderDraft(await discover(source, { url }))
  const [layout] = parseConfiguration(draft, { path: 'discovered.yaml' }).sources
  if (!layout) throw new Error('discover drafted no source')
  return layout
}

async function judged(sourceUrl: string, targetUrl: string, layout: PatientLayout): Promise<SoakTally> {
  const { report, source, rebuilt } = await roundTrip(sourceUrl, targetUrl, layout)
  const unlike = [...source].filter(([table, sum]) => rebuilt.get(table) !== sum)
  const megabytes = Math.round(process.resourceUsage().maxRSS / 1024)
  return {
    tried: source.size,
    failures: unlike.map(([table]) => `table ${table} came back with other rows`),
    figures: { rows: report.rows, tables: report.tables, megabytesMax: megabytes },
  }
}
