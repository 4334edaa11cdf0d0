/** How capture behaves, with what is usual. Everything can be made small by tests. */

export interface CaptureSettings {
  /** A change is in the repository this long after it arrived, at the latest. */
  readonly sealMs: number
  /** Row text after which a segment is sealed early. */
  readonly segmentTextBytes: number
  /** Where nothing is committed: how often the log says that nothing was. */
  readonly progressMs: number
  /** How often a sign of life is asked through the database's own log, which keeps an idle slot moving (P12). */
  readonly heartbeatMs: number
  /** A sign of life that takes longer is a stall: capture connects anew (F31). */
  readonly stallMs: number
  readonly silenceMaxMs: number
  /** After the catalog changed elsewhere: how soon to look which tables can be followed now. */
  readonly replanMs: number
  readonly slotWatchMs: number
  /** The slot is dropped, and the gap declared, when the database keeps more than this for it. Null: never. */
  readonly slotBytesMax: number | null
  /** A server that sets slots no limit is no obstacle (P12). */
  readonly allowsUnlimitedSlot: boolean
  readonly createSlotTimeoutMs: number
  /** The life of the lease; after a crash, the next capture waits so long. */
  readonly leaseMs: number
  readonly pauseMinMs: number
  readonly pauseMaxMs: number
}

export const CAPTURE_DEFAULTS: CaptureSettings = {
  sealMs: 5_000,
  segmentTextBytes: 8 * 1024 * 1024,
  progressMs: 60_000,
  heartbeatMs: 60_000,
  stallMs: 180_000,
  silenceMaxMs: 60_000,
  replanMs: 30_000,
  slotWatchMs: 30_000,
  slotBytesMax: null,
  allowsUnlimitedSlot: false,
  createSlotTimeoutMs: 60_000,
  leaseMs: 30_000,
  pauseMinMs: 1_000,
  pauseMaxMs: 60_000,
}
