/**
 * What can be captured, and what must not be (P1, P7, P9): the verdict on each table from the facts of the catalogs.
 *
 * Two things can go wrong. Changes that the stream leaves out, or gives in a form in which the row cannot be found again:
 * such a table is read in full at each snapshot, and the plan says why. And a published table that has no usable
 * identity: then the application's own UPDATE and DELETE on it fail (F34, F44), which is a danger to be named at once.
 */
import type { CapturePlan, TableCapture } from '../../change-contract.ts'
import type { Session } from '../connect.ts'
import { quoteName } from '../quote.ts'
import {
  type PublicationFacts,
  readPublication,
  readServerFacts,
  readTableFacts,
  type ServerFacts,
  type TableFacts,
} from './plan-facts.ts'

/** Before it, a walsender that saw a table before that was attached to a published one goes on to leave it out (P7). */
const ATTACHED_IS_SENT_SINCE = 150_000
const GENERATED_BINDS_SINCE = 180_000

export interface PlanOptions {
  readonly publication: string
  readonly tables: readonly string[]
  /** A slot may make the server keep WAL without limit (P12). */
  readonly allowsUnlimitedSlot: boolean
}

interface Verdict {
  readonly reason: string
  readonly remedySql: string | null
}

interface Judging {
  readonly publication: PublicationFacts
  readonly publicationName: string
  readonly version: number
}

export async function planCapture(session: Session, options: PlanOptions): Promise<CapturePlan> {
  const publication = await readPublication(session, options.publication)
  const facts = await readTableFacts(session, options.publication)
  const judging: Judging = {
    publication: publication ?? NOTHING_PUBLISHED,
    publicationName: quoteName(options.publication),
    version: session.serverVersionNumber,
  }
  return {
    obstacle:
      serverObstacle(await readServerFacts(session), options.allowsUnlimitedSlot) ??
      (publication === null ? missingPublication(judging) : null),
    tables: options.tables.map((name) =>
      judgeTable(
        name,
        facts.find((table) => table.name === name),
        judging,
      ),
    ),
    dangers: findDangers(facts, judging),
  }
}

const NOTHING_PUBLISHED: PublicationFacts = {
  insertsAll: true,
  sendsUpdatesOrDeletes: false,
  viaRoot: false,
  sendsGenerated: false,
  takesNewTables: false,
}

function serverObstacle(server: ServerFacts, allowsUnlimitedSlot: boolean): Verdict | null {
  if (server.isStandby) return { reason: 'the server is a standby: capture follows the primary', remedySql: null }
  if (server.walLevel !== 'logical') {
    return {
      reason: `wal_level is ${server.walLevel}, not logical`,
      remedySql: `ALTER SYSTEM SET wal_level = 'logical'; -- then restart the server`,
    }
  }
  if (!server.mayReplicate) {
    const role = quoteName(server.role)
    return { reason: `role ${role} has no REPLICATION`, remedySql: `ALTER ROLE ${role} REPLICATION;` }
  }
  if (/\*|chartkeep/i.test(server.synchronousStandbys)) {
    return {
      reason: 'synchronous_standby_names takes any session: commits would wait for chartkeep',
      remedySql: `ALTER SYSTEM SET synchronous_standby_names = '…'; SELECT pg_reload_conf(); -- name the standbys`,
    }
  }
  if (server.slotWalKeepSize === '-1' && !allowsUnlimitedSlot) {
    return {
      reason: 'max_slot_wal_keep_size sets no limit: a capture that stops would let WAL fill the disk of the server',
      remedySql: `ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'; SELECT pg_reload_conf();`,
    }
  }
  return null
}

function missingPublication({ publicationName }: Judging): Verdict {
  return {
    reason: `there is no publication ${publicationName}`,
    remedySql: `CREATE PUBLICATION ${publicationName}; -- then its tables: \`chartkeep setup-sql\` prints all of it`,
  }
}

function judgeTable(name: string, facts: TableFacts | undefined, judging: Judging): TableCapture {
  const verdict =
    facts === undefined
      ? { reason: 'no such table', remedySql: null }
      : (judgeRows(facts, judging) ?? judgePublished(facts, judging))
  if (verdict === null) return { table: name, resolution: 'transaction', reason: null, remedySql: null }
  return { table: name, resolution: 'snapshot', ...verdict }
}

/** Whether rows can be found again by what the stream tells, whatever is published. Null when they can. */
function judgeRows(table: TableFacts, { version }: Judging): Verdict | null {
  const { key, sqlName } = table
  if (table.isUnlogged) return { reason: 'unlogged table', remedySql: `ALTER TABLE ${sqlName} SET LOGGED;` }
  if (table.namingColumn !== null) {
    return { reason: `column ${table.namingColumn}: its text changes when something is renamed`, remedySql: null }
  }
  if (key === null) {
    const index = table.candidateIndex
    const remedySql = index === null ? null : `ALTER TABLE ${sqlName} ADD PRIMARY KEY USING INDEX ${quoteName(index)};`
    return { reason: 'no primary key', remedySql }
  }
  if (!key.isValid) return { reason: 'invalid primary key', remedySql: null }
  if (!key.isImmediate) return { reason: 'deferrable primary key', remedySql: makeKeyImmediate(table) }
  if (key.hasGenerated) return { reason: 'primary key on a generated column', remedySql: null }
  const isFull = table.identity === 'f'
  if (isFull && table.hasGenerated && version >= GENERATED_BINDS_SINCE) {
    return { reason: 'replica identity full beside a generated column', remedySql: makeIdentityDefault(table) }
  }
  if (isFull || table.identity === 'd' || (table.identity === 'i' && key.isIdentity)) return null
  const what = table.identity === 'n' ? 'nothing' : 'an index that is not the primary key'
  return { reason: `replica identity is ${what}`, remedySql: makeIdentityDefault(table) }
}

function judgePublished(table: TableFacts, { publication, publicationName, version }: Judging): Verdict | null {
  const set = (what: string) => `ALTER PUBLICATION ${publicationName} SET (${what});`
  const { sqlName } = table
  if (!table.isPublished) {
    return {
      reason: `not in publication ${publicationName}`,
      remedySql: `ALTER PUBLICATION ${publicationName} ADD TABLE ONLY ${sqlName};`,
    }
  }
  if (!publication.insertsAll) {
    return {
      reason: `publication ${publicationName} leaves out a kind of change`,
      remedySql: set(`publish = 'insert, update, delete, truncate'`),
    }
  }
  if (publication.viaRoot && table.isPartition) {
    return {
      reason: `publication ${publicationName} names partitions by their root`,
      remedySql: set('publish_via_partition_root = false'),
    }
  }
  if (version < ATTACHED_IS_SENT_SINCE && table.isPartition && !table.isListed && !publication.takesNewTables) {
    return {
      reason: `in publication ${publicationName} by what is above it only: before PostgreSQL 15 rows may not be sent`,
      remedySql: `ALTER PUBLICATION ${publicationName} ADD TABLE ONLY ${sqlName};`,
    }
  }
  if (publication.sendsGenerated && table.hasGenerated) {
    return {
      reason: `publication ${publicationName} sends generated columns`,
      remedySql: set('publish_generated_columns = none'),
    }
  }
  if (!table.hasColumnList && !table.hasRowFilter) return null
  return {
    reason: `publication ${publicationName} has a ${table.hasColumnList ? 'column list' : 'row filter'} for it`,
    remedySql: `ALTER PUBLICATION ${publicationName} DROP TABLE ${sqlName}; ALTER PUBLICATION ${publicationName} ADD TABLE ONLY ${sqlName};`,
  }
}

function findDangers(facts: readonly TableFacts[], judging: Judging): CapturePlan['dangers'] {
  const { publication, publicationName } = judging
  if (!publication.sendsUpdatesOrDeletes) return []
  const failing = facts
    .filter((table) => table.isPublished && !acceptsUpdates(table, judging))
    .map((table) => ({
      table: table.name,
      reason: `UPDATE and DELETE of the application fail: it is published without a usable replica identity`,
      remedySql: `ALTER PUBLICATION ${publicationName} DROP TABLE ${table.sqlName};`,
    }))
  if (!publication.takesNewTables) return failing
  const open = {
    table: '*',
    reason: `publication ${publicationName} takes in every new table: UPDATE and DELETE fail on those without a key`,
    remedySql: `DROP PUBLICATION ${publicationName}; -- then \`chartkeep setup-sql\` prints what makes it anew`,
  }
  return [...failing, open]
}

/** As the server decides it before an UPDATE or DELETE of a published table. */
function acceptsUpdates(table: TableFacts, { version }: Judging): boolean {
  const { key } = table
  if (table.isUnlogged) return true
  const generatedBinds = version >= GENERATED_BINDS_SINCE
  if (table.identity === 'f') return !(generatedBinds && table.hasGenerated)
  if (table.identity === 'i') return table.hasIdentityIndex
  if (table.identity === 'n' || key === null) return false
  return key.isImmediate && key.isValid && !(generatedBinds && key.hasGenerated)
}

function makeKeyImmediate({ sqlName, key }: TableFacts): string {
  const constraint = quoteName(key?.constraint ?? '')
  const columns = (key?.columns ?? []).map(quoteName).join(', ')
  return `BEGIN; ALTER TABLE ${sqlName} DROP CONSTRAINT ${constraint}; ALTER TABLE ${sqlName} ADD CONSTRAINT ${constraint} PRIMARY KEY (${columns}); COMMIT;`
}

function makeIdentityDefault({ sqlName }: TableFacts): string {
  return `ALTER TABLE ${sqlName} REPLICA IDENTITY DEFAULT;`
}
