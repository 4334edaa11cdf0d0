/** What a running capture says of itself, for people and for programs. No row value in any of it (I9). */
import type { TableClosing } from '../../repository/change-log/segment-header.ts'
import type { CapturePlan } from '../../source/change-contract.ts'

export type CaptureEvent =
  /** Somebody has the lease, or had it and died: only waiting tells. */
  | { readonly kind: 'lease-watched'; readonly holder: string; readonly renewedAt: string }
  /** `breakReason` is null for the first log of a source; otherwise the gap before it is declared by this log. */
  | { readonly kind: 'log-begun'; readonly logId: string; readonly start: string; readonly breakReason: string | null }
  | { readonly kind: 'connected'; readonly logId: string; readonly end: string; readonly tables: number }
  | {
      readonly kind: 'sealed'
      readonly segment: number
      readonly end: string
      readonly transactions: number
      readonly changes: number
      readonly textBytes: number
      /** From the last commit in it, by the source's clock, to its being durable, by ours. Null without a commit. */
      readonly lagMs: number | null
    }
  /** From here to the next snapshot, these tables have no points in time (P2). */
  | { readonly kind: 'closed'; readonly tables: readonly TableClosing[] }
  | { readonly kind: 'dangers'; readonly dangers: CapturePlan['dangers'] }
  | { readonly kind: 'pausing'; readonly code: string; readonly message: string; readonly pauseMs: number }
  /** The database keeps more than half of what it may keep for us (P12). */
  | { readonly kind: 'slot-alarm'; readonly retainedBytes: number; readonly limitBytes: number }
  | { readonly kind: 'slot-dropped'; readonly retainedBytes: number; readonly limitBytes: number }
  | { readonly kind: 'stopped'; readonly end: string }

export type CaptureListener = (event: CaptureEvent) => void
