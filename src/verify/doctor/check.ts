/**
 * What `doctor` says: one check for each topic, with its severity, what it means and what to run, in English and Chinese.
 *
 *     inconclusive  it could not be looked at: never to be taken for good
 *     notice        known, and as somebody chose; no reason to do anything tonight
 *     warning       works today and will fail some day, or is worse than it could be
 *     error         data is not protected, or the ward is in danger
 */
import type { HealthTopic, Observation } from '../../source/health-contract.ts'
import type { Limits } from './limits.ts'

export type Severity = 'notice' | 'warning' | 'error'

export interface Check {
  /** Of an observation without a measure, always the same; else by the measure, null where it is good. */
  readonly severity: Severity | ((measure: number, limits: Limits) => Severity | null)
  readonly en: Words
  readonly zh: Words
  /** Commands, in order; statements that the database gave come before them. */
  readonly run: readonly string[]
}

export interface Words {
  /** What is wrong, as a headline. */
  readonly title: string
  /** What follows from it. */
  readonly meaning: string
}

export type Topic = HealthTopic | ConfigurationTopic | RepositoryTopic | KeyTopic | MachineTopic

export const CONFIGURATION_TOPICS = [
  'layout-tables',
  'layout-columns',
  'exclude-unknown',
  'tables-excluded',
  'tables-without-anchor',
  'tables-without-category',
  'anchor-leads-nowhere',
  'patient-unset',
  'writer-unset',
  'writer-shared',
  'trigger-columns',
  'slot-unlimited-by-choice',
  'one-person-approval',
] as const
export type ConfigurationTopic = (typeof CONFIGURATION_TOPICS)[number]

export const REPOSITORY_TOPICS = [
  'snapshot-missing',
  'snapshot-age',
  'capture-not-set-up',
  'capture-not-running',
  'changes-age',
  'change-log-damaged',
  'change-log-shortened',
  'table-closed',
  'gap-declared',
  'history-changed',
  'history-timeline',
  'proof-age',
  'compare-age',
  'orphan-packs',
  'audit-chain',
  'ledger-chain',
  'restore-unfinished',
  'emergency-open',
] as const
export type RepositoryTopic = (typeof REPOSITORY_TOPICS)[number]

export const KEY_TOPICS = [
  'wrapper-single',
  'wrapper-damaged',
  'recovery-sheet-missing',
  'signer-agent-missing',
  'signer-approver-missing',
] as const
export type KeyTopic = (typeof KEY_TOPICS)[number]

const MACHINE_TOPICS = [
  'source-unreachable',
  'writer-unreachable',
  'repository-closed',
  'recovery-sheet-in-use',
  'secret-in-environment',
  'secret-file-rights',
  'store-read-only',
  'store-space',
  'store-expires',
  'store-without-versions',
  'clock-store',
  'spill-space',
] as const
export type MachineTopic = (typeof MACHINE_TOPICS)[number]

export type Seen<Of extends Topic = Topic> = Observation<Of>
