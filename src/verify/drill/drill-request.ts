/** What a drill is asked to do, and what of the world it needs for that. */
import type { BuildPool } from '../../intake/build-pool.ts'
import type { Repository } from '../../repository/repository.ts'
import type { ConnectionSettings } from '../../source/contract.ts'
import type { Question } from '../../source/scratch-contract.ts'
import type { DrillReport, Scenario } from './drill-report.ts'
import type { SaidTimes } from './step-times.ts'

export interface DrillQuestion extends Question {
  /** The whole number that the copy must answer, decimal; null: only comparison with the source tells. */
  readonly expected: string | null
}

export interface DrillRequest {
  readonly repository: Repository
  readonly sourceName: string
  /** Who is drilled: stands on the report. */
  readonly organisation: string
  readonly actor: string
  readonly scenario: Scenario
  /** As `parseMoment` takes it; null: the last change kept, or the newest snapshot. Of `random-moment` it is drawn. */
  readonly at: string | null
  /** Of `table`: which; the largest when null. */
  readonly table: string | null
  /** Of `patient`: the key as text; drawn when null. */
  readonly patient: string | null
  readonly authorisation: DrillReport['authorisation']
  readonly said: SaidTimes
  readonly targets: { readonly rtoMs: number | null; readonly rpoMs: number | null }
  readonly questions: readonly DrillQuestion[]
  /** Names the kind of database, for a server of our own. */
  readonly sourceUrl: string
  /** A server for such things, as `ScratchWish.on`; null: one of our own. */
  readonly scratch: ConnectionSettings | null
  /** An empty database to rebuild into, instead of one of our own; null: none is given. */
  readonly into: ConnectionSettings | null
  /** To be asked and compared; null: it is left in peace. */
  readonly source: ConnectionSettings | null
  readonly pool: BuildPool
  readonly temporaryDirectory: string
  readonly random: (bytes: number) => Uint8Array
  readonly signal: AbortSignal
  readonly nowMs: () => number
  readonly onProgress: (what: string) => void
}
