/** What `doctor` finds at a ward at which nothing is wrong, and after each thing that goes wrong was planted there. */
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startPostgres } from '../../../scripts/support/postgres-server.ts'
import { Failure } from '../../../src/errors.ts'
import { revokeSigner } from '../../../src/repository/signers.ts'
import { type Changeset, writeChangeset, writeOutcome } from '../../../src/restore/patient/changeset.ts'
import { examineDatabase } from '../../../src/source/open.ts'
import type { Topic } from '../../../src/verify/doctor/check.ts'
import { CHECKS } from '../../../src/verify/doctor/checks.ts'
import type { DoctorReport } from '../../../src/verify/doctor/looks.ts'
import { runSql } from '../../source/postgres/support.ts'
import { objectKeys, whileDamaged, whileGone } from '../../support/repository.ts'
import { type HealthyWard, makeHealthyWard, type Otherwise } from './healthy-ward.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let ward: HealthyWard

beforeAll(async () => {
  ward = await makeHealthyWard()
})

afterAll(() => ward?.[Symbol.asyncDispose]())

/** `warning role-rls: chartkeep`, sorted. */
function shown({ findings }: DoctorReport): string[] {
  return findings.map(({ id, severity, objects }) => `${severity} ${id}: ${objects.join(', ')}`.trimEnd()).sort()
}

function ids({ findings }: DoctorReport): string[] {
  return [...new Set(findings.map(({ id }) => id))].sort()
}

const objects = async (prefix: string) =>
  (await objectKeys(ward.made.directory)).filter((key) => key.startsWith(prefix))
const damaged = async (key: string, bytes: (whole: Buffer) => Buffer | null) =>
  ids(await whileDamaged(ward.made.directory, key, bytes, () => ward.look()))
const flip = (whole: Buffer) => {
  whole[whole.length - 20]! ^= 1
  return whole
}

const settle = async () => await new Promise((resolve) => setTimeout(resolve, 100))

describe('doctor', () => {
  it('finds nothing where nothing is wrong, and has looked at everything', async () => {
    const report = await ward.look()

    expect(shown(report)).toEqual([])
    expect(report.status).toBe('good')
    const all = new Set(Object.keys(CHECKS))
    expect(report.good.filter((topic) => !all.has(topic))).toEqual([])
    const looked = new Set<Topic>([...report.good, ...OF_SQL_SERVER])
    expect([...all].filter((topic) => ![...looked].some((good) => good === topic))).toEqual([])
  })
})

/** Looked for where they are: test/source/sqlserver. */
const OF_SQL_SERVER: readonly Topic[] = ['capture-job-still', 'changes-kept-short', 'table-untracked']

interface Planted {
  readonly sql?: readonly string[]
  readonly undo?: readonly string[]
  readonly under?: Otherwise
  /** All that is found, by `shown`. */
  readonly found: readonly string[]
}

const table = (name: string, ...columns: string[]) => `CREATE TABLE ${name} (${columns.join(', ')})`
const unsorted = (name: string) => `notice tables-without-category: public.${name}`

const IN_THE_DATABASE: Readonly<Record<string, Planted>> = {
  'a table that the role may not read': {
    sql: [
      'REVOKE pg_read_all_data FROM chartkeep',
      'GRANT SELECT ON patient, stay, note, drug TO chartkeep',
      'GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO chartkeep',
    ],
    undo: ['GRANT pg_read_all_data TO chartkeep', 'REVOKE ALL ON ALL TABLES IN SCHEMA public FROM chartkeep'],
    found: ['error role-rights: public.vital'],
  },
  'a reader without BYPASSRLS (P8)': {
    sql: ['ALTER ROLE chartkeep NOBYPASSRLS'],
    undo: ['ALTER ROLE chartkeep BYPASSRLS'],
    found: ['error role-rls: chartkeep'],
  },
  'a reader without REPLICATION': {
    sql: ['ALTER ROLE chartkeep NOREPLICATION'],
    undo: ['ALTER ROLE chartkeep REPLICATION'],
    found: ['error role-replication: chartkeep'],
  },
  'a reader that may make databases': {
    sql: ['ALTER ROLE chartkeep CREATEDB'],
    undo: ['ALTER ROLE chartkeep NOCREATEDB'],
    found: ['warning role-too-mighty: chartkeep'],
  },
  'a reader that may write': {
    sql: ['GRANT UPDATE ON note TO chartkeep'],
    undo: ['REVOKE UPDATE ON note FROM chartkeep'],
    found: ['warning role-too-mighty: chartkeep'],
  },
  'a password that runs out': {
    sql: [`DO $$ BEGIN EXECUTE format('ALTER ROLE chartkeep VALID UNTIL %L', now() + interval '5 days'); END $$`],
    undo: [`ALTER ROLE chartkeep VALID UNTIL 'infinity'`],
    found: ['warning role-expires: chartkeep'],
  },
  'a writer that may not write': {
    sql: ['REVOKE pg_write_all_data FROM chartkeep_writer'],
    undo: ['GRANT pg_write_all_data TO chartkeep_writer'],
    found: ['error writer-rights: public.drug, public.note, public.patient, public.stay, public.vital'],
  },
  'a writer without BYPASSRLS': {
    sql: ['ALTER ROLE chartkeep_writer NOBYPASSRLS'],
    undo: ['ALTER ROLE chartkeep_writer BYPASSRLS'],
    found: ['error writer-rls: chartkeep_writer'],
  },
  'a writer that is a superuser': {
    sql: ['ALTER ROLE chartkeep_writer SUPERUSER'],
    undo: ['ALTER ROLE chartkeep_writer NOSUPERUSER'],
    found: ['warning writer-too-mighty: chartkeep_writer'],
  },
  'a writer whose password runs out': {
    sql: [`DO $$ BEGIN EXECUTE format('ALTER ROLE chartkeep_writer VALID UNTIL %L', now() + interval '1 day'); END $$`],
    undo: [`ALTER ROLE chartkeep_writer VALID UNTIL 'infinity'`],
    found: ['warning writer-expires: chartkeep_writer'],
  },
  'a writer that may not log in': {
    sql: ['ALTER ROLE chartkeep_writer NOLOGIN'],
    undo: ['ALTER ROLE chartkeep_writer LOGIN'],
    found: [
      'error writer-unreachable:',
      ...['expires', 'rights', 'rls', 'too-mighty'].map((what) => `inconclusive writer-${what}:`),
    ],
  },
  'a publication that is not there': {
    under: { publication: 'nothing' },
    found: ['error publication-missing: nothing'],
  },
  'a publication that leaves out deletes': {
    sql: [`ALTER PUBLICATION rehearsal SET (publish = 'insert, update, truncate')`],
    undo: [`ALTER PUBLICATION rehearsal SET (publish = 'insert, update, delete, truncate')`],
    under: { publication: 'rehearsal' },
    found: [
      'error publication-shape: rehearsal',
      ...['drug', 'note', 'patient', 'stay', 'vital'].map((name) => `notice table-coarse: public.${name}`),
    ],
  },
  'a publication of somebody else': {
    sql: ['ALTER PUBLICATION rehearsal OWNER TO postgres'],
    undo: ['ALTER PUBLICATION rehearsal OWNER TO chartkeep'],
    under: { publication: 'rehearsal' },
    found: ['warning publication-owner: rehearsal'],
  },
  'a table that was taken out of the publication (P7)': {
    sql: ['ALTER PUBLICATION rehearsal DROP TABLE drug'],
    undo: ['ALTER PUBLICATION rehearsal ADD TABLE drug'],
    under: { publication: 'rehearsal' },
    found: ['warning publication-drift: public.drug'],
  },
  'a published table without a key: the ward cannot update it (P9, F34)': {
    sql: [table('bag', 'line text'), 'ALTER PUBLICATION rehearsal ADD TABLE bag'],
    undo: ['DROP TABLE bag'],
    under: { publication: 'rehearsal' },
    found: ['error publication-danger: public.bag', 'notice table-without-key: public.bag', unsorted('bag')],
  },
  'a published table with a deferrable key (F44)': {
    sql: [table('later', 'id integer PRIMARY KEY DEFERRABLE'), 'ALTER PUBLICATION rehearsal ADD TABLE later'],
    undo: ['DROP TABLE later'],
    under: { publication: 'rehearsal' },
    found: ['error publication-danger: public.later', unsorted('later'), 'warning table-key-unusable: public.later'],
  },
  'a new table that nobody has published': {
    sql: [table('fresh', 'id integer PRIMARY KEY')],
    undo: ['DROP TABLE fresh'],
    found: [unsorted('fresh'), 'warning publication-drift: public.fresh'],
  },
  'an unlogged table': {
    sql: [`CREATE UNLOGGED TABLE quick (id integer PRIMARY KEY)`],
    undo: ['DROP TABLE quick'],
    found: [unsorted('quick'), 'warning table-unlogged: public.quick'],
  },
  'a replica identity of nothing': {
    sql: [table('silent', 'id integer PRIMARY KEY'), 'ALTER TABLE silent REPLICA IDENTITY NOTHING'],
    undo: ['DROP TABLE silent'],
    found: [unsorted('silent'), 'warning table-replica-identity: public.silent'],
  },
  'a column whose text hangs on the catalogs': {
    sql: [table('named', 'id integer PRIMARY KEY', 'what regclass')],
    undo: ['DROP TABLE named'],
    found: ['notice table-coarse: public.named', unsorted('named')],
  },
  'a slot of somebody who left (P12)': {
    sql: [`SELECT pg_create_physical_replication_slot('left_behind', true)`],
    undo: [`SELECT pg_drop_replication_slot('left_behind')`],
    found: ['warning slot-foreign: left_behind'],
  },
  'no room for another slot': {
    sql: [`SELECT pg_create_physical_replication_slot('room_' || n) FROM generate_series(1, 9) n`],
    undo: [`SELECT pg_drop_replication_slot('room_' || n) FROM generate_series(1, 9) n`],
    found: ['warning server-slots-room:'],
  },
  'slots without a limit (P12)': {
    sql: [`ALTER SYSTEM SET max_slot_wal_keep_size = -1`, 'SELECT pg_reload_conf()'],
    undo: [`ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`, 'SELECT pg_reload_conf()'],
    found: ['error server-slot-limit:'],
  },
  'commits that wait for any standby': {
    sql: [`ALTER SYSTEM SET synchronous_standby_names = '*'`, 'SELECT pg_reload_conf()'],
    undo: ['ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()'],
    found: ['error server-synchronous-standby:'],
  },
  'a transaction that was prepared and forgotten (P12)': {
    sql: [`BEGIN; INSERT INTO note VALUES (9999, 1, 'x'); PREPARE TRANSACTION 'forgotten'`],
    undo: [`ROLLBACK PREPARED 'forgotten'`],
    under: { changed: { openTransactionSeconds: 0 } },
    found: ['warning server-old-transactions: icu'],
  },
  'a sequence near the end of its column': {
    sql: [`SELECT setval(pg_get_serial_sequence('public.short', 'id'), 2040109465)`],
    found: [
      unsorted('short'),
      'warning publication-drift: public.short',
      'warning sequence-ending: public.short_id_seq',
    ],
    undo: ['DROP TABLE short'],
  },
  'large objects': {
    sql: ['SELECT lo_create(4711)'],
    undo: ['SELECT lo_unlink(4711)'],
    found: ['warning large-objects: icu'],
  },
  'a foreign table': {
    sql: [
      'CREATE FOREIGN DATA WRAPPER elsewhere',
      'CREATE SERVER other FOREIGN DATA WRAPPER elsewhere',
      'CREATE FOREIGN TABLE lab_archive (id integer) SERVER other',
    ],
    undo: ['DROP FOREIGN DATA WRAPPER elsewhere CASCADE'],
    found: ['warning not-kept: public.lab_archive'],
  },
  'no pg_dump that fits': {
    under: { pgDump: '/nonexistent/pg_dump' },
    found: [`warning server-schema-tool: pg_dump VERSION`],
  },
  'a clock that is five seconds behind': {
    under: { nowMs: () => Date.now() - 5_000 },
    found: ['warning clock-server:'],
  },
}

describe('doctor finds, in the database,', () => {
  it.each(Object.entries(IN_THE_DATABASE))('%s', async (name, { sql = [], undo = [], under, found }) => {
    if (name.startsWith('a sequence')) await runSql(ward.url, table('short', 'id serial PRIMARY KEY'))
    await runSql(ward.url, ...sql)
    try {
      // Settings reach the server's processes a moment after the reload.
      if (sql.some((statement) => statement.includes('reload'))) await settle()
      const expected = found.map((line) => line.replace('VERSION', String(ward.server.version)))

      expect(shown(await ward.look(under))).toEqual([...expected].sort())
    } finally {
      await runSql(ward.url, ...undo)
      if (undo.some((statement) => statement.includes('reload'))) await settle()
    }
  })

  it('a server that logs too little, is not durable and has no encoding', async () => {
    await using poor = await startPostgres({ settings: { wal_level: 'replica' }, encoding: 'SQL_ASCII' })
    const url = await poor.createDatabase('icu', { encoding: 'SQL_ASCII' })
    const report = await ward.look({
      examine: (question) => examineDatabase({ url }, { ...question, slot: null }),
    })
    const found = shown(report)

    expect(found).toContain('error server-changes-logged:')
    expect(found).toContain('error server-durable: fsync')
    expect(found).toContain('error server-durable: full_page_writes')
    expect(found).toContain('notice server-encoding: icu')
    expect(found.filter((line) => line.startsWith('error history-changed')).length).toBe(2)
  })

  it('that it is another one than is kept', async () => {
    await ward.server.createDatabase('reloaded')
    const report = await ward.look({ database: 'reloaded' })

    expect(ids(report)).toContain('history-changed')
    expect(ids(report)).toContain('layout-tables')
  })

  it('that another server took over', async () => {
    const report = await ward.look({
      examine: async (question) => {
        const health = await examineDatabase({ url: ward.url.replace('postgres@', 'chartkeep@') }, question)
        return health?.identity ? { ...health, identity: { ...health.identity, timeline: 2 } } : health
      },
    })

    expect(ids(report)).toEqual(['history-timeline'])
  })

  it('nothing at all, when it cannot be reached, and says so of every check', async () => {
    const refused = async () => {
      throw new Failure('source-unreachable', 'connecting failed')
    }
    const report = await ward.look({ examine: refused, examineWriter: refused, introspect: refused })

    expect(report.status).toBe('error')
    expect(shown(report).filter((line) => line.startsWith('error'))).toEqual([
      'error source-unreachable:',
      'error writer-unreachable:',
    ])
    expect(report.findings.filter(({ severity }) => severity === 'inconclusive').length).toBeGreaterThan(40)
    expect(report.good).not.toContain('slot-idle')
    expect(report.good).not.toContain('history-changed')
    expect(report.good).toContain('wrapper-single')
  })
})

const IN_THE_CONFIGURATION: Readonly<Record<string, { readonly under: Otherwise; readonly found: readonly string[] }>> =
  {
    'a table that is not there': {
      under: { layout: { categories: '{ 字典: [public.drug, public.drugs] }' } },
      found: ['error layout-tables: public.drugs'],
    },
    'a link that names a column that is not there': {
      under: { layout: { links: '["public.note.stay -> public.stay.stay_id"]' } },
      found: ['error layout-columns: public.note.stay'],
    },
    'an excluded table that is not there': {
      under: { layout: { extra: 'exclude: [public.audit_log]' } },
      found: ['warning exclude-unknown: public.audit_log'],
    },
    'an excluded table': {
      under: { layout: { extra: 'exclude: [public.drug]', categories: '{}' } },
      found: ['notice tables-excluded: public.drug'],
    },
    'a table of patients without an anchor': {
      under: {
        layout: {
          anchors: '{ public.stay: patient_id, public.note: stay_id }',
          categories: '{ 体征: [public.vital, public.drug] }',
        },
      },
      found: ['warning tables-without-anchor: public.vital'],
    },
    'a table that nobody has looked at': {
      under: { layout: { categories: '{}' } },
      found: ['notice tables-without-category: public.drug'],
    },
    'an anchor that leads to no patient': {
      under: { layout: { links: '[]' } },
      found: ['error anchor-leads-nowhere: public.note'],
    },
    'no patients': {
      under: { layout: { patient: '' } },
      found: ['warning patient-unset: icu'],
    },
    'no role that writes': {
      under: { layout: { writer: '' } },
      found: ['notice writer-unset: icu'],
    },
    'a column that a trigger is said to own and that is not there': {
      under: { layout: { writer: '{ url: "WRITER", triggerColumns: [public.note.updated_at] }' } },
      found: ['warning trigger-columns: public.note.updated_at'],
    },
    'a slot without a limit, by choice': {
      under: { layout: { extra: 'capture: { allowUnlimitedSlot: true }' } },
      found: ['warning slot-unlimited-by-choice: icu'],
    },
    'one person who approves alone': {
      under: { layout: { approval: 'one-person' } },
      found: ['warning one-person-approval:'],
    },
    'a file with a secret that others may read': {
      under: { files: { '/etc/chartkeep/passphrase': { text: 'x', mode: 0o640 } } },
      found: ['error secret-file-rights: /etc/chartkeep/passphrase'],
    },
    'a passphrase in the environment': {
      under: { variables: { CHARTKEEP_PASSPHRASE: 'x' } },
      found: ['notice secret-in-environment: CHARTKEEP_PASSPHRASE'],
    },
    'a recovery sheet in daily use': {
      under: { variables: { CHARTKEEP_RECOVERY_SHEET: '/etc/sheet' } },
      found: ['warning recovery-sheet-in-use: CHARTKEEP_RECOVERY_SHEET'],
    },
    'a temporary directory without room': {
      under: { spill: { directory: '/var/tmp', freeBytes: async () => 1e8 } },
      found: ['warning spill-space: /var/tmp'],
    },
    'a full disk of the store': {
      under: { changed: { storeFreeBytes: 1e18 } },
      found: ['warning store-space: file:///srv/chartkeep'],
    },
  }

describe('doctor finds, in the configuration and on the machine,', () => {
  it.each(Object.entries(IN_THE_CONFIGURATION))('%s', async (_, { under, found }) => {
    const writer = `postgres://chartkeep_writer@127.0.0.1:${ward.server.port}/icu`
    const layout = under.layout && {
      ...under.layout,
      ...(under.layout.writer && { writer: under.layout.writer.replace('WRITER', writer) }),
    }

    expect(shown(await ward.look({ ...under, ...(layout && { layout }) }))).toEqual([...found].sort())
  })

  it('one role for both', async () => {
    const writer = `{ url: "postgres://chartkeep@127.0.0.1:${ward.server.port}/icu" }`

    expect(ids(await ward.look({ layout: { writer } }))).toEqual([
      'writer-rights',
      'writer-shared',
      'writer-too-mighty',
    ])
  })

  it('a store that only reads, deletes by itself and has another time', async () => {
    const look = {
      mayWrite: false,
      freeBytes: null,
      clockOffsetSeconds: -400,
      expiryRules: ['old: Days 90'],
      keepsVersions: false,
    }
    const report = await ward.look({ lookAtStore: async () => look })

    expect(ids(report)).toEqual(['clock-store', 'store-expires', 'store-read-only'])
  })
})

describe('doctor finds, in the repository,', () => {
  it('that it does not open', async () => {
    const report = await ward.look({
      openRepository: async () => {
        throw new Failure('wrong-key', 'the passphrase does not open the repository')
      },
    })

    expect(shown(report).filter((line) => line.startsWith('error'))).toEqual(['error repository-closed:'])
    expect(report.good).not.toContain('snapshot-age')
    expect(report.good).not.toContain('signer-agent-missing')
  })

  it('that nothing of this source is kept', async () => {
    expect(ids(await ward.look({ sourceName: 'other' }))).toEqual([
      'capture-not-set-up',
      'compare-age',
      'snapshot-missing',
    ])
  })

  it('that forty days went by', async () => {
    const report = await ward.look({ nowMs: () => Date.now() + 40 * 86_400_000 })

    expect(ids(report)).toEqual([
      'capture-not-running',
      'changes-age',
      'clock-server',
      'compare-age',
      'proof-age',
      'snapshot-age',
    ])
  })

  it('packs that no scrub has read', async () => {
    const [proof] = await objects('proofs/')

    expect(await damaged(proof!, () => null)).toEqual(['proof-age'])
  })

  it('packs of a backup that was cut off', async () => {
    const [pack] = await objects('packs/')
    const orphan = `${pack!.slice(0, -30)}${'0'.repeat(30)}`
    await copyFile(join(ward.made.directory, pack!), join(ward.made.directory, orphan))
    try {
      expect(ids(await ward.look({ changed: { orphanPacks: 0 } }))).toEqual(['orphan-packs'])
    } finally {
      await rm(join(ward.made.directory, orphan))
    }
  })

  it('a record that was changed', async () => {
    const [entry] = await objects('audit/')
    const [ledger] = await objects('ledger/entries/')

    expect(await damaged(entry!, flip)).toEqual(['audit-chain'])
    expect(await damaged(ledger!, flip)).toEqual(['ledger-chain'])
  })

  it('ways to open it that are gone, or damaged', async () => {
    const wrappers = await objects('keys/')
    const found = await Promise.resolve()
      .then(() => damaged(wrappers[0]!, () => null))
      .then(async (first) => [first, await damaged(wrappers[1]!, () => null)])

    expect(found.sort((a, b) => a.length - b.length)).toEqual([
      ['wrapper-single'],
      ['recovery-sheet-missing', 'wrapper-single'],
    ])
    expect(await damaged(wrappers[0]!, () => Buffer.from('{}'))).toContain('wrapper-damaged')
  })

  it('that nobody may sign snapshots, or approve', async () => {
    const { repository, directory } = ward.made
    const signers = await repository.signers()
    const agent = signers.find(({ role }) => role === 'agent')!
    const from = new Date().toISOString()
    const revocation = { signerId: agent.signerId, from, ledgerSize: 1000, reason: 'stolen', revokedAt: from }
    await revokeSigner(repository.sealed, revocation)
    const found = ids(await ward.look())
    await rm(join(directory, `revocations/${agent.signerId}`))

    expect(found).toEqual(['signer-agent-missing'])
    expect(await damaged('signers/approver-1', () => null)).toEqual(['signer-approver-missing'])
  })

  it('a restore of a patient without an end, and an emergency that nobody has signed since', async () => {
    const { repository, directory } = ward.made
    const changeset: Changeset = {
      changesetId: 'c-1',
      planId: 'p-1',
      planSha256: '00',
      sourceName: 'icu',
      patient: '1',
      kind: 'restore',
      requester: 'nurse',
      executor: 'nurse',
      authorisation: 'emergency: the ward waits',
      startedAt: new Date().toISOString(),
      snapshotId: 's',
      transaction: { id: '1', engine: 'postgresql', systemId: '1', timeline: 1, databaseOid: '1' },
      tables: [],
    }
    await writeChangeset(repository, changeset)
    const open = shown(await ward.look())
    const ended = { changesetId: 'c-1', outcome: 'committed', endedAt: changeset.startedAt } as const
    await writeOutcome(repository, { ...ended, inserted: 1, updated: 0, deleted: 0, triggered: {}, sideEffects: {} })
    const unsigned = shown(await ward.look())
    for (const key of ['changesets/c-1', 'outcomes/c-1']) await rm(join(directory, key))

    expect(open).toEqual(['error restore-unfinished: c-1'])
    expect(unsigned).toEqual(['warning emergency-open: c-1'])
  })
})

/** In this order: each step is what became of the one before. */
describe('doctor finds, as a capture dies,', () => {
  it('a table that DDL closed', async () => {
    await runSql(
      ward.url,
      'ALTER TABLE drug ADD COLUMN route text DEFAULT $$oral$$',
      `INSERT INTO drug VALUES ('D2', 'x')`,
    )
    await ward.captured.caughtUp()
    const closed = shown(await ward.look())
    await ward.captured.snapshot()

    expect(closed).toEqual(['warning table-closed: public.drug'])
    expect(ids(await ward.look()).filter((id) => id === 'table-closed')).toEqual([])
  })

  it('that nobody follows the slot, and what it makes the server keep (P12)', async () => {
    await ward.captured.stop()
    const idle = ids(await ward.look())
    await runSql(ward.url, `ALTER SYSTEM SET max_slot_wal_keep_size = '64MB'`, 'SELECT pg_reload_conf()')
    for (let segment = 0; segment < 3; segment += 1) {
      await runSql(ward.url, `INSERT INTO drug VALUES ('S${segment}', 'x')`, 'SELECT pg_switch_wal()')
    }
    const changed = { catalogXminAge: 2, changesAgeSeconds: 0.01 }
    const kept = ids(await ward.look({ changed }))

    expect(idle.filter((id) => id !== 'proof-age')).toEqual(['capture-not-running', 'slot-idle'])
    expect(kept).toEqual(expect.arrayContaining(['changes-age', 'slot-catalog-xmin', 'slot-idle', 'slot-retention']))
  })

  it('that the newest pieces of the log are gone from the store (F2)', async () => {
    await ward.captured.start()
    const end = await ward.captured.caughtUp()
    const before = await objects('segments/')
    await runSql(ward.url, `INSERT INTO drug VALUES ('T1', 'x')`)
    await ward.captured.caughtUp()
    await ward.captured.confirmedBeyond(end)
    await ward.captured.stop()
    const newest = (await objects('segments/')).filter((key) => !before.includes(key))

    const whole = ids(await ward.look())
    const cut = await whileGone(ward.made.directory, newest, async () => ids(await ward.look()))

    expect(whole).not.toContain('change-log-shortened')
    expect(cut).toContain('change-log-shortened')
  })

  it('that the server gave the slot up, and that it is gone', async () => {
    await runSql(ward.url, `ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`, 'SELECT pg_reload_conf()')
    for (let segment = 0; segment < 3; segment += 1) {
      await runSql(ward.url, `INSERT INTO drug VALUES ('L${segment}', 'x')`, 'SELECT pg_switch_wal()', 'CHECKPOINT')
    }
    const lost = ids(await ward.look())
    await runSql(
      ward.url,
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'chartkeep%'`,
    )

    expect(lost).toContain('slot-lost')
    expect(ids(await ward.look())).toContain('slot-missing')
  })

  it('the gap, when it runs again', async () => {
    await runSql(ward.url, `ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`, 'SELECT pg_reload_conf()')
    await ward.captured.start()
    await ward.captured.caughtUp()
    const found = ids(await ward.look())

    expect(found).toContain('gap-declared')
    expect(found).not.toContain('slot-missing')
  })

  it('a change log whose beginning is damaged', async () => {
    const starts = await objects('logs/')

    expect(await damaged(starts.at(-1)!, flip)).toContain('change-log-damaged')
  })
})

describe('every check', () => {
  it('says in both languages what it means, in sentences', () => {
    for (const [topic, { en, zh }] of Object.entries(CHECKS)) {
      expect([topic, /^[A-Z`].*[a-z`A-Z]$/.test(en.title), /\.$/.test(en.meaning)]).toEqual([topic, true, true])
      expect([topic, /\p{Script=Han}/u.test(zh.title), /。$/.test(zh.meaning)]).toEqual([topic, true, true])
    }
  })

  it('is planted by a test of this file, or says why it cannot be', async () => {
    // A standby, and the wear of ten years, do not come into being in a test of seconds.
    const unplanted: readonly Topic[] = [
      'server-standby',
      'server-wraparound',
      'store-without-versions',
      'change-log-damaged',
      ...OF_SQL_SERVER,
    ]
    const { readFile } = await import('node:fs/promises')
    const text = await readFile(new URL(import.meta.url), 'utf8')
    const missing = Object.keys(CHECKS).filter((topic) => !new RegExp(`[ ']${topic}[:']`).test(text))

    expect(missing.filter((topic) => !unplanted.some((each) => each === topic))).toEqual([])
  })
})
