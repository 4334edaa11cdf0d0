/**
 * What a read leaves for the next, one for each table: `ct1 <version> <token> <definition>`. It stands in manifests
 * (docs/FORMAT.md), so that what an older version wrote must go on being understood or refused.
 */
import { createHash } from 'node:crypto'
import type { NetMark } from '../../net-contract.ts'
import type { CatalogTable } from '../introspect.ts'
import type { Tracked } from './questions.ts'

export interface TrackingMark {
  /** Of the commit that left `token`, before the read began: everything behind it is asked for. */
  readonly version: bigint
  readonly token: string
  /** `definitionOf` the table before the read began. */
  readonly definition: string
}

const FORM = /^ct1 (\d{1,19}) ([0-9a-f]{32}) ([0-9a-f]{64})$/

export function formatMark({ version, token, definition }: TrackingMark): NetMark {
  return `ct1 ${version} ${token} ${definition}`
}

/** Null for one of another form. */
export function parseMark(mark: NetMark): TrackingMark | null {
  const [, version, token, definition] = FORM.exec(mark) ?? []
  if (version === undefined || token === undefined || definition === undefined) return null
  return { version: BigInt(version), token, definition }
}

/**
 * Over everything that Change Tracking does not tell: ADD and ALTER COLUMN, TRUNCATE, tracking that was off for a while
 * ("Manage change tracking"). An index that is built anew changes it, too, which costs a read.
 */
export function definitionOf({ info, columns }: CatalogTable, { begin, created, modified, storage }: Tracked): string {
  const parts = [info.oid, created, modified, storage, String(begin), columns, info.primaryKey]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
