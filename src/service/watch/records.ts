/** What expires, and what waits for a second person: looked at once an hour, for it changes by the day. */
import { isInForce, readHolds } from '../../backup/retention/hold.ts'
import { readTokens } from '../../repository/access/tokens.ts'
import type { Repository } from '../../repository/repository.ts'
import { lookAtRestores } from '../../verify/doctor/look-records.ts'
import type { Condition, Watch } from '../alarm/condition.ts'

const EVERY_MS = 60 * 60_000
const DAY_MS = 24 * 60 * 60_000

export interface RecordsWatchParts {
  readonly repository: Repository
  readonly expiryDays: number
  readonly nowMs: () => number
}

export function watchRecords(parts: RecordsWatchParts): Watch {
  let last: { readonly atMs: number; readonly conditions: readonly Condition[] } | null = null
  return {
    name: 'records',
    look: async () => {
      const nowMs = parts.nowMs()
      if (last && Math.abs(nowMs - last.atMs) < EVERY_MS) return last.conditions
      const conditions = [...(await tokens(parts)), ...(await holds(parts)), ...(await restores(parts))]
      last = { atMs: nowMs, conditions }
      return conditions
    },
  }
}

/** A token that has ended for longer than the notice is somebody's who is gone. */
function isSoon(iso: string, { expiryDays, nowMs }: RecordsWatchParts): boolean {
  return Math.abs(Date.parse(iso) - nowMs()) < expiryDays * DAY_MS
}

async function tokens(parts: RecordsWatchParts): Promise<Condition[]> {
  const known = await readTokens(parts.repository.sealed)
  return known
    .filter(({ expiresAt, revocation }) => revocation === null && isSoon(expiresAt, parts))
    .map(({ tokenId, role, expiresAt }) => ({
      key: `token:${tokenId}`,
      kind: 'key-expires',
      severity: 'warning',
      subject: tokenId,
      text: {
        en: `token ${tokenId} (${role}) is valid until ${expiresAt}`,
        zh: `令牌 ${tokenId}（${role}）有效期至 ${expiresAt}`,
      },
    }))
}

async function holds(parts: RecordsWatchParts): Promise<Condition[]> {
  const { repository, nowMs } = parts
  const known = await readHolds(repository, await repository.audit.read())
  return known.flatMap((hold): Condition[] => {
    const { holdId, snapshotId, until } = hold
    if (until === null || !isInForce(hold, nowMs()) || !isSoon(until, parts)) return []
    const en = `the hold ${holdId} on snapshot ${snapshotId} ends at ${until}`
    const zh = `快照 ${snapshotId} 的保留 ${holdId} 将于 ${until} 到期`
    return [{ key: `hold:${holdId}`, kind: 'hold-expires', severity: 'warning', subject: snapshotId, text: { en, zh } }]
  })
}

async function restores({ repository }: RecordsWatchParts): Promise<Condition[]> {
  const found = await lookAtRestores(repository)
  return found.map(({ topic, objects, found: what }) => {
    const subject = objects.join(', ')
    const isOpen = topic === 'emergency-open'
    return {
      key: `${topic}:${subject}`,
      kind: 'counter-signature',
      severity: isOpen ? 'warning' : 'critical',
      subject,
      text: isOpen
        ? {
            en: `emergency restore ${subject} was not counter-signed (${what})`,
            zh: `紧急恢复 ${subject} 尚未补签（${what}）`,
          }
        : {
            en: `restore ${subject} has no known end (${what})`,
            zh: `恢复 ${subject} 的结果未知（${what}）`,
          },
    }
  })
}
