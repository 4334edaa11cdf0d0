/**
 * The journal of a history: triggers write every row that changes, before and after, into a table of their own, within
 * the transaction that changes it. What is rolled back, to a savepoint or wholly, takes its entries along. PostgreSQL's
 * own test_decoding says in which order transactions committed.
 *
 * Nothing of chartkeep takes part. Schema `oracle` must stay out of what is captured.
 */
import pg from 'pg'

export const ORACLE_SCHEMA = 'oracle'
export const ORACLE_TABLES = ['oracle.journal', 'oracle.flushed']
const SLOT = 'oracle'

export interface JournalEntry {
  readonly oid: string
  /** Everything before it of this table is void: TRUNCATE, or a change of the table's shape. */
  readonly isReset: boolean
  /** As `row::text`. */
  readonly before: string | null
  readonly after: string | null
}

export interface Commit {
  /** As `pg_current_xact_id()`. */
  readonly xid: bigint
  readonly endLsn: bigint
  /** Microseconds since 1970. */
  readonly timeUs: bigint
}

export interface Journal {
  /** In the order of the commit records. */
  readonly commits: readonly Commit[]
  /** In the order of writing. Transactions that changed no watched table have none. */
  readonly entries: ReadonlyMap<bigint, readonly JournalEntry[]>
}

/** Text as COPY would print it, whatever the session has set. */
const PINS =
  "SET datestyle TO 'ISO, YMD' SET timezone TO 'UTC' SET intervalstyle TO 'postgres' " +
  "SET extra_float_digits TO '3' SET bytea_output TO 'hex' SET search_path TO ''"

const SETUP = [
  'CREATE SCHEMA oracle',
  `CREATE TABLE oracle.journal (seq bigserial PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
     rel oid NOT NULL, reset boolean NOT NULL, before text, after text)`,
  'CREATE TABLE oracle.flushed (at timestamptz)',
  `CREATE FUNCTION oracle.write_row() RETURNS trigger LANGUAGE plpgsql ${PINS} AS $$
   BEGIN
     INSERT INTO oracle.journal (rel, reset, before, after) VALUES (TG_RELID, false,
       CASE WHEN TG_OP <> 'INSERT' THEN OLD::text END, CASE WHEN TG_OP <> 'DELETE' THEN NEW::text END);
     RETURN NULL;
   END $$`,
  `CREATE FUNCTION oracle.write_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     INSERT INTO oracle.journal (rel, reset) VALUES (TG_RELID, true);
     RETURN NULL;
   END $$`,
  // What the rows are now, whatever made them so. Only for who holds the table alone.
  `CREATE FUNCTION oracle.write_all(watched regclass) RETURNS void LANGUAGE plpgsql ${PINS} AS $$
   BEGIN
     -- Rows that others committed before the lock was had, and behind the transaction's one snapshot, would be missing.
     IF current_setting('transaction_isolation') <> 'read committed' THEN
       RAISE 'the rows of % may not all be seen', watched USING ERRCODE = 'serialization_failure';
     END IF;
     INSERT INTO oracle.journal (rel, reset) VALUES (watched, true);
     EXECUTE format('INSERT INTO oracle.journal (rel, reset, after) SELECT %L::oid, false, t::text FROM ONLY %s t',
       watched::oid, watched);
   END $$`,
  `CREATE FUNCTION oracle.watch(watched regclass) RETURNS void LANGUAGE plpgsql AS $$
   BEGIN
     EXECUTE format('CREATE TRIGGER oracle_row AFTER INSERT OR UPDATE OR DELETE ON %s
       FOR EACH ROW EXECUTE FUNCTION oracle.write_row()', watched);
     EXECUTE format('CREATE TRIGGER oracle_truncate BEFORE TRUNCATE ON %s
       FOR EACH STATEMENT EXECUTE FUNCTION oracle.write_truncate()', watched);
     PERFORM oracle.write_all(watched);
   END $$`,
]

/** On a database where nobody writes yet. Tables are watched from the statement `watchSql` on. */
export async function startRecorder(client: pg.Client): Promise<void> {
  await client.query(
    `SELECT pg_create_logical_replication_slot('${SLOT}_${await databaseName(client)}', 'test_decoding')`,
  )
  for (const statement of SETUP) await client.query(statement)
}

/** @param sqlName of an ordinary table or a leaf partition */
export function watchSql(sqlName: string): string {
  return `SELECT oracle.watch(${pg.escapeLiteral(sqlName)})`
}

/** After a change of shape, in the same transaction. */
export function rewriteSql(sqlName: string): string {
  return `SELECT oracle.write_all(${pg.escapeLiteral(sqlName)})`
}

export class Recorder {
  readonly #client: pg.Client
  readonly #commits: Commit[] = []

  /** `client` must be used by nobody else meanwhile. */
  constructor(client: pg.Client) {
    this.#client = client
  }

  /** Everything committed before the call. */
  async read(): Promise<Journal> {
    // Decoding ends at what is flushed; a commit of ours that waits for the disk flushes everything before it.
    await this.#client.query('SET synchronous_commit TO on')
    // In memory: of transactions that were spilled and then aborted, test_decoding of 18.4 dies by a segmentation fault.
    await this.#client.query("SET logical_decoding_work_mem TO '1GB'")
    await this.#client.query('INSERT INTO oracle.flushed VALUES (now())')
    const slot = `${SLOT}_${await databaseName(this.#client)}`
    const decoded = await this.#client.query<{ lsn: string; data: string }>(
      `SELECT lsn::text, data FROM pg_logical_slot_get_changes('${slot}', NULL, NULL, 'include-xids', 'on',
         'include-timestamp', 'on', 'skip-empty-xacts', 'off') WHERE data LIKE 'COMMIT%'`,
    )
    this.#commits.push(...decoded.rows.map(toCommit))
    return { commits: [...this.#commits], entries: await this.#readEntries() }
  }

  async #readEntries(): Promise<Map<bigint, JournalEntry[]>> {
    const { rows } = await this.#client.query(
      'SELECT xid::text, rel::text AS oid, reset, before, after FROM oracle.journal ORDER BY seq',
    )
    const entries = new Map<bigint, JournalEntry[]>()
    for (const { xid, oid, reset, before, after } of rows) {
      const key = BigInt(xid)
      const list = entries.get(key)
      const entry = { oid, isReset: reset, before, after }
      if (list) list.push(entry)
      else entries.set(key, [entry])
    }
    return entries
  }
}

/** `COMMIT 745 (at 2026-03-01 10:15:00.123456+00)`; the position is where the commit record ends. */
function toCommit({ lsn, data }: { lsn: string; data: string }): Commit {
  const [, xid, time] = /^COMMIT (\d+) \(at (.+)\)$/.exec(data)!
  const [high, low] = lsn.split('/')
  return {
    xid: BigInt(xid!),
    endLsn: BigInt(`0x${high}`) * 2n ** 32n + BigInt(`0x${low}`),
    timeUs: microseconds(time!),
  }
}

/** The server's clock is set to UTC; fractions may be missing or short. */
function microseconds(text: string): bigint {
  const [, day, second, fraction = ''] = /^(\S+) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text)!
  return BigInt(Date.parse(`${day}T${second}Z`)) * 1000n + BigInt(fraction.padEnd(6, '0'))
}

async function databaseName(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>('SELECT current_database() AS name')
  return rows[0]!.name
}
