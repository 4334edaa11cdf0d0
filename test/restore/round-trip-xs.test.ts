/** The reference database at size XS, through the repository and back: see test/support/round-trip.ts for the judge. */
import { expect, test } from 'vitest'
import { referenceConfiguration } from '../../scripts/reference/configuration.ts'
import { createReferenceDatabase } from '../../scripts/reference/create.ts'
import { availablePostgresVersions, startPostgres } from '../../scripts/support/postgres-server.ts'
import { toLayout } from '../support/layout.ts'
import { roundTrip } from '../support/round-trip.ts'

const newest = Math.max(...availablePostgresVersions())

test(`every table of the reference database at size XS comes back byte for byte (PostgreSQL ${newest})`, async () => {
  await using server = await startPostgres({ version: newest })
  const sourceUrl = await server.createDatabase('icu')
  const targetUrl = await server.createDatabase('rebuilt')
  await createReferenceDatabase({ url: sourceUrl, size: 'XS', seed: 2026 })

  const { report, source, rebuilt } = await roundTrip(sourceUrl, targetUrl, toLayout(referenceConfiguration()))

  expect(report.verified).toBe(true)
  expect(report.rows).toBeGreaterThan(350_000)
  expect(source.size).toBeGreaterThan(25)
  expect(rebuilt).toEqual(source)
}, 240_000)
