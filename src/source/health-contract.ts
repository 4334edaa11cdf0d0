/**
 * What a database tells of its own health, for `doctor`: what was seen, and what the administrator would run. Whether that
 * is good, and what it means, is said in `src/verify/doctor`. Nothing here ever changes the database.
 */
import type { SourceIdentity } from './contract.ts'

/** What can be asked of a database. A kind of database that a topic means nothing to leaves it out. */
export const HEALTH_TOPICS = [
  'clock-server',
  'server-changes-logged',
  'server-slot-limit',
  'server-durable',
  'server-synchronous-standby',
  'server-standby',
  'server-encoding',
  'server-slots-room',
  'server-wraparound',
  'server-schema-tool',
  'server-old-transactions',
  'role-rights',
  'role-rls',
  'role-replication',
  'role-too-mighty',
  'role-expires',
  'publication-missing',
  'publication-shape',
  'publication-owner',
  'publication-drift',
  'publication-danger',
  'table-unlogged',
  'table-without-key',
  'table-key-unusable',
  'table-replica-identity',
  'table-coarse',
  'table-untracked',
  'slot-missing',
  'slot-lost',
  'slot-idle',
  'slot-retention',
  'slot-catalog-xmin',
  'slot-foreign',
  'capture-job-still',
  'changes-kept-short',
  'sequence-ending',
  'large-objects',
  'not-kept',
] as const
export const WRITER_TOPICS = ['writer-rights', 'writer-rls', 'writer-too-mighty', 'writer-expires'] as const

export type HealthTopic = (typeof HEALTH_TOPICS)[number] | (typeof WRITER_TOPICS)[number]

/** One thing that was seen, and is not as it should be, or is a number that others have to judge. Never a row value. */
export interface Observation<Topic extends string = HealthTopic> {
  readonly topic: Topic
  /** Names of tables, roles, slots, settings: what it was seen of. */
  readonly objects: readonly string[]
  /** Short and technical, the same in every language: `wal_level = replica`. */
  readonly found: string
  /** Seconds, a share of 1, or a count, as the topic has it; absent where the observation itself is the trouble. */
  readonly measure?: number
  /** Statements that would mend it, for the administrator. Never run by us. */
  readonly remedySql?: readonly string[]
}

export interface HealthQuestion {
  /** As `TableInfo.name`: those that are backed up; null for all. */
  readonly tables: readonly string[] | null
  /** The slot that the change log hangs on, or null when nothing is captured. */
  readonly slot: string | null
  readonly nowMs: () => number
}

export interface DatabaseHealth {
  readonly identity: SourceIdentity | null
  /** Up to where the slot that was asked about is confirmed, or null; absent where it could not be asked. */
  readonly slotConfirmedLsn?: bigint | null
  /** Topics that were looked at; a topic that is in none of these lists does not apply. */
  readonly looked: readonly HealthTopic[]
  readonly observations: readonly Observation[]
  /** Topics that could not be looked at, and why. */
  readonly notLooked: readonly { readonly topic: HealthTopic; readonly reason: string }[]
}
