/** Our slot, and what it and others make the server keep (P12). */
import type { SlotState } from '../../change-contract.ts'
import type { Observation } from '../../health-contract.ts'
import type { Session } from '../connect.ts'
import { quoteText } from '../quote.ts'
import { CURRENT_LSN, readSlotState } from '../stream/slot.ts'
import type { HealthGroup } from './group.ts'

const LOOKS = 4

export const ourSlot: HealthGroup = {
  topics: ['slot-missing', 'slot-lost', 'slot-idle', 'slot-retention', 'slot-catalog-xmin'],
  look: async (session, { slot }) => {
    if (slot === null) return []
    const state = await readSettledState(session, slot)
    if (state === null) return [{ topic: 'slot-missing', objects: [slot], found: 'pg_replication_slots: 0' }]
    const seen: Observation[] = []
    const { walStatus, retainedBytes, safeBytes } = state
    if (walStatus.startsWith('lost'))
      return [{ topic: 'slot-lost', objects: [slot], found: `wal_status = ${walStatus}` }]
    if (!state.active) seen.push({ topic: 'slot-idle', objects: [slot], found: 'active = false' })
    if (safeBytes !== null) {
      const limit = retainedBytes + safeBytes
      const measure = limit === 0n ? 1 : Number(retainedBytes) / Number(limit)
      const found = `${mebibytes(retainedBytes)} of ${mebibytes(limit)} MiB, wal_status = ${walStatus}`
      seen.push({ topic: 'slot-retention', objects: [slot], found, measure })
    }
    const found = `age(catalog_xmin) = ${state.catalogXminAge}`
    seen.push({ topic: 'slot-catalog-xmin', objects: [slot], found, measure: state.catalogXminAge })
    return seen
  },
}

/** Between two connections of a capture the slot is idle for a moment. */
async function readSettledState(session: Session, slot: string): Promise<SlotState | null> {
  for (let look = 1; ; look += 1) {
    const state = await readSlotState(session, slot)
    if (state === null || state.active || state.walStatus.startsWith('lost') || look === LOOKS) return state
    await session.query('SELECT pg_sleep(0.5)')
  }
}

export const otherSlots: HealthGroup = {
  topics: ['slot-foreign'],
  look: async (session, { slot }) => await idleSlots(session, slot),
}

async function idleSlots(session: Session, ours: string | null): Promise<Observation[]> {
  const rows = await session.query(
    `SELECT slot_name AS name, greatest(pg_wal_lsn_diff(${CURRENT_LSN}, restart_lsn), 0)::bigint AS retained
     FROM pg_catalog.pg_replication_slots
     WHERE NOT active AND NOT temporary AND restart_lsn IS NOT NULL AND slot_name IS DISTINCT FROM $1 ORDER BY 1`,
    [ours],
  )
  return rows.map(({ name, retained }) => ({
    topic: 'slot-foreign',
    objects: [name ?? ''],
    found: `active = false, ${mebibytes(BigInt(retained ?? 0))} MiB`,
    remedySql: [`SELECT pg_drop_replication_slot(${quoteText(name ?? '')}); -- only when nobody will come back for it`],
  }))
}

function mebibytes(bytes: bigint): string {
  return (Number(bytes) / 1024 / 1024).toFixed(0)
}
