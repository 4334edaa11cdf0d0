/** How often things are looked at again. Everything can be made small by tests. */
export interface Pace {
  /** Between two looks at how far the capture job has come: it goes through the log each five seconds, as it is set up. */
  readonly pollMs: number
  /** Looks in which the capture job has not moved, before it is said to stand still. */
  readonly markLooks: number
  /** A commit that was captured and ended so long ago is seen by every read that begins now. */
  readonly settledSeconds: number
  /** Rows of one instance that are asked for at a time. */
  readonly pageRows: number
  /** Changes of a transaction that are put together before it is handed on. */
  readonly heldChangesMax: number
}

export const USUAL_PACE: Pace = {
  pollMs: 1_000,
  markLooks: 60,
  settledSeconds: 10,
  pageRows: 1_000,
  heldChangesMax: 10_000,
}
