/** From where on a number is bad. Tests set them lower; nobody else does. */

export interface Limits {
  readonly clockSkewSeconds: number
  readonly snapshotAgeSeconds: number
  readonly changesAgeSeconds: number
  /** Of the pack that was proved longest ago, and of the last comparison with the database. */
  readonly proofAgeSeconds: number
  /** A gap that is older has been seen. */
  readonly gapShownSeconds: number
  /** Of what the server grants a slot. */
  readonly slotShare: number
  readonly catalogXminAge: number
  /** Since the database's own capture job has last come to anything; an idle one says so every few minutes. */
  readonly captureJobSeconds: number
  /** For so long at least the database's clean-up leaves changes for us: a weekend, and the Monday on which it is noticed. */
  readonly changesKeptSeconds: number
  readonly frozenXidAge: number
  readonly openTransactionSeconds: number
  /** Of a sequence's numbers. */
  readonly sequenceShare: number
  readonly passwordDays: number
  readonly storeFreeBytes: number
  readonly orphanPacks: number
}

const DAY = 86_400

export const DEFAULT_LIMITS: Limits = {
  clockSkewSeconds: 2,
  // A nightly snapshot that took its time.
  snapshotAgeSeconds: 26 * 3600,
  changesAgeSeconds: 10 * 60,
  proofAgeSeconds: 35 * DAY,
  gapShownSeconds: 30 * DAY,
  slotShare: 0.5,
  catalogXminAge: 10_000_000,
  captureJobSeconds: 3600,
  changesKeptSeconds: 4 * DAY,
  // Two thirds of the way to where the server refuses to write.
  frozenXidAge: 1_400_000_000,
  openTransactionSeconds: 3600,
  sequenceShare: 0.8,
  passwordDays: 21,
  storeFreeBytes: 10 * 1024 ** 3,
  // A backup that is under way has some.
  orphanPacks: 200,
}
