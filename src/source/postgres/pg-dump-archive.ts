/**
 * Reads the table of contents of a pg_dump custom-format archive: one entry for each object, with its statement.
 *
 * The plain format would have to be cut apart at comments (`-- Name: …; Type: …`) that the text of a function may
 * contain as well. The archive says exactly where each statement begins and ends. Layout, all of it little-endian:
 *
 *     "PGDMP" major minor revision intBytes offsetBytes format      one byte each after the magic
 *     compression                    an int; since 1.15 one byte
 *     seconds … isDst                seven ints
 *     database, server, pg_dump      strings
 *     entry count                    int, then the entries, each as readEntry() has it
 *
 *     int     a sign byte, then intBytes of magnitude
 *     string  its length as an int (−1 for none), then its bytes
 *
 * 1.14 came with PostgreSQL 12, 1.15 with 16, 1.16 with 17. A later layout is refused, and our own statements are used.
 */
import { Failure } from '../../errors.ts'

export interface ArchiveEntry {
  /** For people: `TABLE`, `FK CONSTRAINT`, `ACL` … */
  readonly kind: string
  readonly name: string
  readonly schema: string
  readonly owner: string
  readonly section: 'none' | 'pre-data' | 'data' | 'post-data'
  readonly statement: string
  readonly dropStatement: string
  readonly tablespace: string
  /** Table access method; empty where there is none to choose. */
  readonly accessMethod: string
}

const MAGIC = 'PGDMP'
const OLDEST_LAYOUT = 14
const NEWEST_LAYOUT = 16
const SECTIONS = ['none', 'none', 'pre-data', 'data', 'post-data'] as const

export function isKnownArchive(archive: Buffer): boolean {
  const minor = archive[MAGIC.length + 1] ?? 0
  return (
    archive.subarray(0, MAGIC.length).toString('latin1') === MAGIC &&
    archive[MAGIC.length] === 1 &&
    minor >= OLDEST_LAYOUT &&
    minor <= NEWEST_LAYOUT
  )
}

/** @throws source-failed when the archive ends early or is of no known layout */
export function readArchiveEntries(archive: Buffer): ArchiveEntry[] {
  if (!isKnownArchive(archive)) throw new Failure('source-failed', 'pg_dump wrote an archive of an unknown layout')
  const reader = new ArchiveReader(archive)
  const count = reader.readHead()
  return Array.from({ length: count }, () => reader.readEntry())
}

class ArchiveReader {
  readonly #archive: Buffer
  #at = MAGIC.length
  #layout = 0
  #intBytes = 0
  #offsetBytes = 0

  constructor(archive: Buffer) {
    this.#archive = archive
  }

  readHead(): number {
    this.#byte()
    this.#layout = this.#byte()
    this.#byte()
    this.#intBytes = this.#byte()
    this.#offsetBytes = this.#byte()
    this.#byte()
    if (this.#layout >= 15) this.#byte()
    else this.#int()
    for (let part = 0; part < 7; part += 1) this.#int()
    for (let part = 0; part < 3; part += 1) this.#text()
    return this.#int()
  }

  readEntry(): ArchiveEntry {
    this.#int() // Number of the entry.
    this.#int() // Whether it has data.
    this.#text() // Its oid's catalog.
    this.#text() // Its oid.
    const name = this.#text()
    const kind = this.#text()
    const section = SECTIONS[this.#int()] ?? 'none'
    const statement = this.#text()
    const dropStatement = this.#text()
    this.#text() // COPY statement.
    const schema = this.#text()
    const tablespace = this.#text()
    const accessMethod = this.#text()
    if (this.#layout >= 16) this.#int() // Kind of relation.
    const owner = this.#text()
    this.#text() // WITH OIDS, of old.
    while (this.#optionalText() !== undefined); // Numbers of the entries it depends on.
    this.#skip(1 + this.#offsetBytes) // Where its data would be.
    return { kind, name, schema, owner, section, statement, dropStatement, tablespace, accessMethod }
  }

  #byte(): number {
    const value = this.#archive[this.#at]
    if (value === undefined) throw endsEarly()
    this.#at += 1
    return value
  }

  #int(): number {
    const sign = this.#byte()
    const start = this.#at
    this.#skip(this.#intBytes)
    const magnitude = this.#archive.readUIntLE(start, Math.min(this.#intBytes, 6))
    return sign === 0 ? magnitude : -magnitude
  }

  #text(): string {
    return this.#optionalText() ?? ''
  }

  #optionalText(): string | undefined {
    const bytes = this.#int()
    if (bytes < 0) return undefined
    const start = this.#at
    this.#skip(bytes)
    return this.#archive.toString('utf8', start, this.#at)
  }

  #skip(bytes: number): void {
    this.#at += bytes
    if (this.#at > this.#archive.length) throw endsEarly()
  }
}

function endsEarly(): Failure {
  return new Failure('source-failed', 'the archive that pg_dump wrote ends before its table of contents does')
}
