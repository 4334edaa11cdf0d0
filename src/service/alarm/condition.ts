/** What is wrong now, as a watch sees it. It is looked at again and again: an alarm is a condition that was seen, and lasts until it is not. */
import type { AlarmKind } from '../contract.ts'

export interface Condition {
  /** Says what it is about, and not how it stands: the same trouble has the same key at every look. */
  readonly key: string
  readonly kind: AlarmKind
  readonly severity: 'critical' | 'warning'
  readonly subject: string
  readonly text: { readonly en: string; readonly zh: string }
}

/** A look at one thing. It names itself, so that what it no longer sees can be told from what nobody looked at. */
export interface Watch {
  readonly name: string
  /** @throws whatever kept it from looking: then what it saw before stands, and that it could not look is an alarm */
  readonly look: (signal: AbortSignal) => Promise<readonly Condition[]>
}
