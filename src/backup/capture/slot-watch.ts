/**
 * What the database keeps for us, looked at while we follow it and while we cannot (P12). Beyond half of the server's
 * own limit it is an alarm; beyond a bound that the operator set, the slot is given up, because the ward's database
 * comes before our log of it.
 */
import type { SlotState } from '../../source/change-contract.ts'
import type { Source } from '../../source/contract.ts'
import type { CaptureListener } from './events.ts'

export interface SlotWatch {
  readonly openSource: () => Promise<Source>
  readonly slot: string
  /** Null: never given up. */
  readonly slotBytesMax: number | null
  readonly everyMs: number
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly onEvent: CaptureListener
  readonly onTooMuch: (retainedBytes: number) => void
}

/** Until the signal fires. A database that does not answer is the session's affair, and is asked again later. */
export async function watchSlot(watch: SlotWatch, signal: AbortSignal): Promise<void> {
  let source: Source | null = null
  try {
    while (!signal.aborted) {
      try {
        source ??= await watch.openSource()
        const state = (await source.changes?.slotState(watch.slot)) ?? null
        if (state) judge(watch, state)
      } catch {
        await close(source)
        source = null
      }
      await watch.sleep(watch.everyMs, signal)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await close(source)
  }
}

async function close(source: Source | null): Promise<void> {
  try {
    await source?.[Symbol.asyncDispose]()
  } catch {
    // It is given up because it failed.
  }
}

function judge({ slotBytesMax, onEvent, onTooMuch }: SlotWatch, state: SlotState): void {
  const retainedBytes = Number(state.retainedBytes)
  if (slotBytesMax !== null && retainedBytes > slotBytesMax) {
    onTooMuch(retainedBytes)
    return
  }
  const limitBytes = slotLimit(state)
  if (limitBytes !== null && retainedBytes > limitBytes / 2) onEvent({ kind: 'slot-alarm', retainedBytes, limitBytes })
}

/** At which the server gives up the slot's WAL; null where it never does. */
export function slotLimit({ retainedBytes, safeBytes }: SlotState): number | null {
  return safeBytes === null ? null : Number(retainedBytes + safeBytes)
}
