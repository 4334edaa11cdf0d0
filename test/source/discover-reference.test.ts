/**
 * The draft of the reference ICU database on a real server, against the configuration that its authors wrote by hand;
 * once as it is, and once without any foreign key, as hospitals' databases often are.
 */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { referenceConfiguration } from '../../scripts/reference/configuration.ts'
import { createReferenceDatabase } from '../../scripts/reference/create.ts'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import type { DraftConfiguration } from '../../src/source/discover.ts'
import { discover } from '../../src/source/discover.ts'
import { openSource } from '../../src/source/open.ts'

const ROWS = 20_000
const expected = referenceConfiguration()

let server: PostgresServer
let url: string

beforeAll(async () => {
  server = await startPostgres()
  url = await server.createDatabase('icu')
  await createReferenceDatabase({ url, rows: ROWS })
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

it('is what its authors would write, when it is as they made it', async () => {
  const draft = await draftOf(url)

  expect(draft.patient).toMatchObject(expected.patient)
  expect(anchorsOf(draft)).toEqual(expected.anchors)
  expect(categoriesOf(draft)).toEqual(sortEach(expected.categories))
  expect(linksOf(draft)).toEqual(expect.arrayContaining([...expected.links]))
})

it('finds patient, categories and links without any foreign key', async () => {
  await dropForeignKeys(url)

  const draft = await draftOf(url)

  expect(draft.patient).toMatchObject(expected.patient)
  expect(anchorsOf(draft)).toEqual(expected.anchors)
  expect(categoriesOf(draft)).toEqual(sortEach(expected.categories))
  expect(linksOf(draft)).toEqual(
    expect.arrayContaining([
      ...expected.links,
      'public.vital_sign.stay_id -> public.icu_stay.stay_id',
      'public.document_version.document_id -> public.clinical_document.document_id',
      'public.admission.patient_id -> public.patient.patient_id',
    ]),
  )
})

async function draftOf(address: string): Promise<DraftConfiguration> {
  await using source = await openSource({ url: address })
  return await discover(source, { url: address })
}

async function dropForeignKeys(address: string): Promise<void> {
  const client = new pg.Client({ connectionString: address })
  await client.connect()
  try {
    const { rows } = await client.query(
      `select format('alter table %s drop constraint %I', conrelid::regclass, conname) as statement
       from pg_constraint where contype = 'f' and conparentid = 0`,
    )
    for (const { statement } of rows) await client.query(statement)
  } finally {
    await client.end()
  }
}

function anchorsOf(draft: DraftConfiguration): Record<string, string> {
  return Object.fromEntries(draft.anchors.map(({ table, column }) => [table, column]))
}

function categoriesOf(draft: DraftConfiguration): Record<string, string[]> {
  const groups = Map.groupBy(draft.categories, ({ category }) => category)
  return sortEach(Object.fromEntries([...groups].map(([name, guesses]) => [name, guesses.map(({ table }) => table)])))
}

function sortEach(groups: Readonly<Record<string, readonly string[]>>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(groups).map(([name, tables]) => [name, [...tables].sort()]))
}

function linksOf(draft: DraftConfiguration): string[] {
  return draft.links.map((link) => `${link.table}.${link.column} -> ${link.referencedTable}.${link.referencedColumn}`)
}
