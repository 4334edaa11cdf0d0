/**
 * A ward at which `doctor` finds nothing: a real server with durable settings, both roles as `setup-sql` makes them, a
 * repository with a snapshot, a running capture, a scrub and a comparison. What a test plants into it, it takes out again.
 */
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import { parseConfiguration } from '../../../src/config.ts'
import { createSigner } from '../../../src/repository/signers.ts'
import { lookAtStore } from '../../../src/repository/store/look.ts'
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { examineDatabase, examineWriter, openSource, setupSql } from '../../../src/source/open.ts'
import { type DoctorRequest, examine } from '../../../src/verify/doctor/doctor.ts'
import { DEFAULT_LIMITS, type Limits } from '../../../src/verify/doctor/limits.ts'
import { COMPARE_DEED } from '../../../src/verify/doctor/look-records.ts'
import type { DoctorReport } from '../../../src/verify/doctor/looks.ts'
import { runSql } from '../../source/postgres/support.ts'
import { type CapturedDatabase, captureDatabase } from '../../support/capture-by-hand.ts'
import { makeRepository, type TestRepository } from '../../support/repository.ts'
import { type FakeFile, fakeWorld } from '../../support/world.ts'
import { scrub } from '../verify-support.ts'

const PASSPHRASE_FILE = '/etc/chartkeep/passphrase'

const WARD = [
  'CREATE TABLE patient (patient_id bigint PRIMARY KEY, mrn text NOT NULL)',
  'CREATE TABLE stay (stay_id bigint PRIMARY KEY, patient_id bigint NOT NULL REFERENCES patient)',
  'CREATE TABLE vital (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stay_id bigint NOT NULL REFERENCES stay, value numeric)',
  'CREATE TABLE note (note_id integer PRIMARY KEY, stay_id bigint, body text)',
  'CREATE TABLE drug (code text PRIMARY KEY, label text)',
  `INSERT INTO patient SELECT n, 'M' || n FROM generate_series(1, 9) n`,
  'INSERT INTO stay SELECT n, 1 + n % 9 FROM generate_series(1, 20) n',
  'INSERT INTO vital (stay_id, value) SELECT 1 + n % 20, n FROM generate_series(1, 200) n',
  `INSERT INTO note SELECT n, 1 + n % 20, 'note ' || n FROM generate_series(1, 50) n`,
  `INSERT INTO drug VALUES ('D1', 'drug')`,
]

/** `extra` goes into the source, as YAML. */
export interface Layout {
  readonly anchors?: string
  readonly categories?: string
  readonly links?: string
  readonly patient?: string
  readonly writer?: string
  readonly extra?: string
  readonly approval?: string
}

/** What a look is made under, where it is not the healthy way. */
export interface Otherwise extends Partial<DoctorRequest> {
  readonly layout?: Layout
  readonly publication?: string
  readonly changed?: Partial<Limits>
  readonly files?: Readonly<Record<string, FakeFile>>
  readonly variables?: Readonly<Record<string, string>>
  readonly sourceName?: string
  readonly database?: string
  /** What pg_dump is, by its path. */
  readonly pgDump?: string
}

export interface HealthyWard extends AsyncDisposable {
  readonly server: PostgresServer
  /** As superuser. */
  readonly url: string
  readonly made: TestRepository
  readonly captured: CapturedDatabase
  look(otherwise?: Otherwise): Promise<DoctorReport>
}

export async function makeHealthyWard(): Promise<HealthyWard> {
  const settings = { fsync: 'on', full_page_writes: 'on' }
  const server = await startPostgres({ settings })
  const folder = await mkdtemp(join(tmpdir(), 'chartkeep-doctor-'))
  const pgDump = join(folder, 'pg_dump')
  await writeFile(pgDump, `#!/bin/sh\necho 'pg_dump (PostgreSQL) ${server.version}.0'\n`)
  await chmod(pgDump, 0o755)
  const url = await server.createDatabase('icu')
  await runSql(url, ...WARD)
  const role = (name: string, database = 'icu') => `postgres://${name}@127.0.0.1:${server.port}/${database}`
  await prepareDatabase(url, role('chartkeep'), role('chartkeep_writer'))
  const made = await makeRepository()
  const layout = configurationOf(role, {}, 'icu').sources[0]!
  const captured = await captureDatabase({ made, url, layout, tables: [], isPublished: true })
  await captured.snapshot()
  await keepRecords(made)

  const look = async (otherwise: Otherwise = {}) => {
    const { sourceName = 'icu', database = 'icu', publication } = otherwise
    const configuration = configurationOf(role, otherwise.layout ?? {}, sourceName, database)
    const [source] = configuration.sources
    const as = (address: string): ConnectionSettings => ({ url: address, ...(publication && { publication }) })
    const request: DoctorRequest = {
      configuration,
      source: source!,
      world: fakeWorld({
        variables: otherwise.variables ?? { CHARTKEEP_PASSPHRASE_FILE: PASSPHRASE_FILE },
        files: otherwise.files ?? {},
      }),
      nowMs: () => Date.now(),
      limits: { ...DEFAULT_LIMITS, storeFreeBytes: 0, ...otherwise.changed },
      openRepository: async () => {
        made.repository.forgetSigners()
        return made.repository
      },
      introspect: async () => {
        await using opened = await openSource(as(source!.url))
        return await opened.introspect()
      },
      examine: (question) => examineDatabase(as(source!.url), question),
      examineWriter: (question) => examineWriter(as(source!.writer!.url), question),
      lookAtStore: () => lookAtStore(made.settings, () => Date.now()),
      spill: { directory: '/var/tmp', freeBytes: async () => 1e12 },
      ...otherwise,
    }
    return await withPgDump(otherwise.pgDump ?? pgDump, () => examine(request))
  }
  return {
    server,
    url,
    made,
    captured,
    look,
    [Symbol.asyncDispose]: async () => {
      await captured[Symbol.asyncDispose]()
      await made[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Two publications: what is planted into `rehearsal`, the capture does not see. */
async function prepareDatabase(url: string, reader: string, writer: string): Promise<void> {
  await runSql(url, `ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`, 'SELECT pg_reload_conf()')
  for (const script of [setupSql(reader), setupSql(writer, { exclude: [], writer: true })]) {
    await runSql(url, script.replaceAll(/^\\.*$/gm, ''))
  }
  const tables = ['patient', 'stay', 'vital', 'note', 'drug']
  await runSql(url, `CREATE PUBLICATION rehearsal FOR TABLE ${tables.join(', ')}`)
  await runSql(url, 'ALTER PUBLICATION rehearsal OWNER TO chartkeep')
}

async function keepRecords({ repository }: TestRepository): Promise<void> {
  const createdAt = new Date().toISOString()
  await createSigner(repository.sealed, { signerId: 'approver-1', name: 'Dr. Chen', role: 'approver', createdAt })
  await scrub(repository, { keepProof: true, nowMs: () => Date.now(), random: randomBytes })
  const deed = { actor: 'test', action: COMPARE_DEED, subject: 'icu', detail: 'passed' }
  await repository.audit.append({ ...deed, time: createdAt, outcome: 'done' })
}

function configurationOf(
  role: (name: string, database?: string) => string,
  layout: Layout,
  name: string,
  database = 'icu',
) {
  const {
    patient = '{ table: public.patient, key: patient_id, label: [mrn] }',
    anchors = '{ public.stay: patient_id, public.vital: stay_id, public.note: stay_id }',
    categories = '{ 字典: [public.drug] }',
    links = '["public.note.stay_id -> public.stay.stay_id"]',
    writer = `{ url: "${role('chartkeep_writer', database)}" }`,
    extra = '',
    approval = 'two-people',
  } = layout
  const lines = [
    `repository: { url: "file:///srv/chartkeep" }`,
    `approval: ${approval}`,
    `sources:`,
    `  ${name}:`,
    `    url: "${role('chartkeep', database)}"`,
    ...(patient === '' ? [] : [`    patient: ${patient}`]),
    `    anchors: ${anchors}`,
    `    categories: ${categories}`,
    `    links: ${links}`,
    ...(writer === '' ? [] : [`    writer: ${writer}`]),
    ...(extra === '' ? [] : [`    ${extra}`]),
  ]
  return parseConfiguration(lines.join('\n'), { path: 'chartkeep.yaml' })
}

/** Where the machine has one that fits is not what these tests are about. */
async function withPgDump<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  const before = process.env.PG_DUMP
  process.env.PG_DUMP = path
  try {
    return await work()
  } finally {
    if (before === undefined) delete process.env.PG_DUMP
    else process.env.PG_DUMP = before
  }
}
