/**
 * What the stream does not say of its tables and their keys, asked of the catalogs: the order of the primary key's columns,
 * and names in our own encoding.
 */
import { Failure } from '../../../errors.ts'
import type { StreamTable } from '../../change-contract.ts'
import { shownName, USER_SCHEMA } from '../catalog.ts'
import type { Row, Session } from '../connect.ts'
import { nameList } from '../introspect.ts'
import type { Relation } from './relation.ts'

/** A column of the primary key, in its order; none of a table without one, or that is gone. */
type PrimaryKey = readonly string[]

export class TableDirectory {
  readonly #session: Session
  /** By the bytes of the name as the stream spells it. */
  readonly #names: ReadonlyMap<string, string>
  /** Names by oid, as of the opening: what is renamed for a while, and back, is ours all the while. */
  readonly #wanted: ReadonlyMap<string, string>
  /** By oid, as of `#keysLsn`. */
  readonly #keys: ReadonlyMap<string, PrimaryKey>
  readonly #keysLsn: bigint
  /** Given out last, by oid: the same object as long as the description is the same. */
  readonly #given = new Map<string, StreamTable>()

  private constructor(parts: Parts) {
    this.#session = parts.session
    this.#names = parts.names
    this.#wanted = parts.wanted
    this.#keys = parts.keys
    this.#keysLsn = parts.keysLsn
  }

  static async open(session: Session, tables: readonly string[]): Promise<TableDirectory> {
    const [position] = await session.query('SELECT pg_current_wal_insert_lsn() - $1::pg_lsn AS lsn', ['0/0'])
    const rows =
      await session.query(`SELECT c.oid, ${shownName('n.nspname', 'c.relname')} AS name, ${KEY_COLUMNS} AS key
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND ${USER_SCHEMA}`)
    const names = new Set(tables)
    const wanted = rows.filter(({ name }) => names.has(name ?? ''))
    return new TableDirectory({
      session,
      names: new Map((await toBytes(session, tables)).map((raw, index) => [raw, tables[index]!])),
      wanted: new Map(wanted.map(({ oid, name }) => [oid ?? '', name ?? ''])),
      keys: new Map(rows.map((row) => [row.oid ?? '', nameList(row.key)])),
      keysLsn: BigInt(position?.lsn ?? 0),
    })
  }

  isWanted({ oid, rawName }: Pick<Relation, 'oid' | 'rawName'>): boolean {
    return this.#names.has(rawName) || this.#wanted.has(String(oid))
  }

  /** @param lsn what happened before it must be known; null when even what happens now must be */
  async describe(relation: Relation, lsn: bigint | null): Promise<StreamTable> {
    const oid = String(relation.oid)
    const isRecent = lsn !== null && lsn <= this.#keysLsn
    const primaryKey = isRecent ? (this.#keys.get(oid) ?? []) : await this.#askKey(oid)
    const columns = await this.#toText(relation.rawColumns)
    const described: StreamTable = {
      oid,
      name: this.#names.get(relation.rawName) ?? this.#wanted.get(oid) ?? relation.rawName,
      columns,
      key: keyOf(relation, columns, primaryKey),
    }
    const given = this.#given.get(oid)
    if (given !== undefined && isSame(given, described)) return given
    this.#given.set(oid, described)
    return described
  }

  async #askKey(oid: string): Promise<PrimaryKey> {
    const [row] = await this.#session.query(
      `SELECT ${KEY_COLUMNS} AS key FROM pg_catalog.pg_class c WHERE c.oid = $1`,
      [oid],
    )
    return nameList(row?.key)
  }

  async #toText(rawNames: readonly string[]): Promise<readonly string[]> {
    if (rawNames.every(isAscii)) return rawNames
    const bytes = rawNames.map((name) => Buffer.from(name, 'latin1'))
    if (isUtf8(this.#session)) return bytes.map((name) => name.toString())
    const rows = await this.#session.query(
      `SELECT convert_from(decode(hex, 'hex'), getdatabaseencoding()) AS name
       FROM unnest($1::text[]) WITH ORDINALITY given(hex, n) ORDER BY n`,
      [bytes.map((name) => name.toString('hex'))],
    )
    return rows.map((row) => row.name ?? '')
  }
}

interface Parts {
  readonly session: Session
  readonly names: ReadonlyMap<string, string>
  readonly wanted: ReadonlyMap<string, string>
  readonly keys: ReadonlyMap<string, PrimaryKey>
  readonly keysLsn: bigint
}

/** Of `c`, in the order of the key. */
const KEY_COLUMNS = `(SELECT json_agg(a.attname ORDER BY k.position)
  FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position), pg_catalog.pg_attribute a
  WHERE i.indrelid = c.oid AND i.indisprimary AND k.position <= i.indnkeyatts
    AND a.attrelid = c.oid AND a.attnum = k.attnum)`

/** Words that quote_ident() quotes. */
export async function readReserved(session: Session): Promise<ReadonlySet<string>> {
  const rows: Row[] = await session.query(`SELECT word FROM pg_get_keywords() WHERE catcode <> 'U'`)
  return new Set(rows.map((row) => row.word ?? ''))
}

/**
 * With the default identity the stream itself marks the key's columns, as they were at the time of the change; the catalogs,
 * which may be younger, only order them. Under FULL all are marked, and the catalogs decide.
 */
function keyOf(relation: Relation, columns: readonly string[], primaryKey: PrimaryKey): number[] {
  const ordered = primaryKey.map((column) => columns.indexOf(column))
  const marked = [...relation.keyFlags.keys()].filter((column) => relation.keyFlags[column] === 1)
  const isFull = relation.identity === 'f'
  const isKnown = ordered.length > 0 && !ordered.includes(-1)
  const fits = isFull || (ordered.length === marked.length && marked.every((column) => ordered.includes(column)))
  if (isKnown && fits) return ordered
  return isFull ? [] : marked
}

function isSame(a: StreamTable, b: StreamTable): boolean {
  return a.name === b.name && a.columns.join('\0') === b.columns.join('\0') && a.key.join() === b.key.join()
}

/** The names in the database's encoding, one character for each byte. */
async function toBytes(session: Session, names: readonly string[]): Promise<string[]> {
  if (names.every(isAscii)) return [...names]
  if (isUtf8(session)) return names.map((name) => Buffer.from(name).toString('latin1'))
  const rows = await session.query(
    `SELECT encode(convert_to(name, getdatabaseencoding()), 'hex') AS hex
     FROM unnest($1::text[]) WITH ORDINALITY given(name, n) ORDER BY n`,
    [[...names]],
  )
  if (rows.length !== names.length) throw new Failure('defect', 'not every name was converted')
  return rows.map((row) => Buffer.from(row.hex ?? '', 'hex').toString('latin1'))
}

function isAscii(name: string): boolean {
  return /^[\x20-\x7e]*$/.test(name)
}

function isUtf8({ encoding }: Session): boolean {
  return encoding === 'UTF8' || encoding === 'SQL_ASCII'
}
