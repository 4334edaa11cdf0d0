/** How well a source is protected now, as conditions: what `chartkeep status` says, looked at by nobody. */
import type { ProtectionStatus } from '../../backup/status.ts'
import type { Condition, Watch } from '../alarm/condition.ts'
import type { AlarmKind } from '../contract.ts'

export interface ProtectionWatchParts {
  readonly source: string
  /** Nothing later kept than this ago is an alarm. */
  readonly lagMsMax: number
  readonly status: () => Promise<ProtectionStatus>
  readonly onStatus: (status: ProtectionStatus) => void
}

export function watchProtection({ source, lagMsMax, status, onStatus }: ProtectionWatchParts): Watch {
  return {
    name: `protection:${source}`,
    look: async () => {
      const found = await status()
      onStatus(found)
      return [...lag(found, lagMsMax), ...gaps(found), ...slot(found), ...notCovered(found), ...notAsked(found)]
    },
  }
}

function condition(
  status: ProtectionStatus,
  parts: { kind: AlarmKind; key: string; severity: Condition['severity']; en: string; zh: string },
): Condition {
  const { kind, key, severity, en, zh } = parts
  return {
    kind,
    key,
    severity,
    subject: status.source,
    text: { en: `${status.source}: ${en}`, zh: `${status.source}：${zh}` },
  }
}

function lag(status: ProtectionStatus, lagMsMax: number): Condition[] {
  const { protectedAgeSeconds: age, protectedUntil } = status
  // Before the first snapshot there is a deadline, and no lag.
  if (age === null || age * 1000 <= lagMsMax) return []
  const minutes = Math.round(age / 60)
  return [
    condition(status, {
      kind: 'lag',
      key: 'lag',
      severity: 'critical',
      en: `nothing later than ${protectedUntil} is kept, ${minutes} min ago`,
      zh: `仅保存至 ${protectedUntil}，已滞后 ${minutes} 分钟`,
    }),
  ]
}

function gaps(status: ProtectionStatus): Condition[] {
  return [...lostTail(status), ...declaredGaps(status)]
}

function lostTail(status: ProtectionStatus): Condition[] {
  if (status.lostTail === null) return []
  const { log, from, to } = status.lostTail
  return [
    condition(status, {
      kind: 'gap',
      key: `lost:${to}`,
      severity: 'critical',
      en: `changes from ${from} to ${to} were kept in log ${log} and are gone from the store`,
      zh: `自 ${from} 至 ${to} 的变更曾保存在日志 ${log} 中，现已从存储中消失`,
    }),
  ]
}

function declaredGaps(status: ProtectionStatus): Condition[] {
  return status.gaps.map(({ from, to, begunAt, reason }) =>
    condition(status, {
      kind: 'gap',
      key: `gap:${to}`,
      severity: 'critical',
      en: `changes from ${from ?? 'an unknown position'} to ${to} are missing, until ${begunAt}: ${reason}`,
      zh: `自 ${from ?? '未知位置'} 至 ${to} 的变更缺失，止于 ${begunAt}：${reason}`,
    }),
  )
}

function slot(status: ProtectionStatus): Condition[] {
  if (!status.slot) return []
  const { slot: name, walStatus, retainedBytes, limitBytes, active } = status.slot
  const isFull = limitBytes !== null && retainedBytes > limitBytes / 2
  const isHealthy = walStatus === 'reserved' || walStatus === 'extended'
  if (isHealthy && !isFull) return []
  const of = limitBytes === null ? '' : ` / ${limitBytes}`
  return [
    condition(status, {
      kind: 'slot',
      key: `slot:${name}`,
      severity: 'critical',
      en: `slot ${name} is ${walStatus}, ${active ? 'followed' : 'not followed'}; the database keeps ${retainedBytes}${of} bytes for it`,
      zh: `复制槽 ${name} 状态 ${walStatus}，${active ? '有' : '无'}进程读取；数据库为其保留 ${retainedBytes}${of} 字节`,
    }),
  ]
}

function notCovered(status: ProtectionStatus): Condition[] {
  const { closed, coarse } = status
  const found: Condition[] = []
  if (closed.length > 0) {
    const names = closed.map(({ table }) => table).join(', ')
    found.push(
      condition(status, {
        kind: 'not-covered',
        key: 'closed',
        severity: 'warning',
        en: `no points in time until the next snapshot: ${names}`,
        zh: `下次快照之前无法恢复到任意时刻的表：${names}`,
      }),
    )
  }
  // Where nothing is captured at all, every table is, and that is how it was configured.
  if (coarse.length > 0 && status.log !== null) {
    const names = coarse.map(({ table }) => table).join(', ')
    found.push(
      condition(status, {
        kind: 'not-covered',
        key: 'coarse',
        severity: 'warning',
        en: `known at snapshots only: ${names}`,
        zh: `仅在快照时刻可知的表：${names}`,
      }),
    )
  }
  return found
}

function notAsked(status: ProtectionStatus): Condition[] {
  if (status.notAsked.length === 0) return []
  const what = status.notAsked.join('; ')
  return [
    condition(status, {
      kind: 'not-watched',
      key: 'not-asked',
      severity: 'critical',
      en: `could not be asked: ${what}`,
      zh: `无法查询：${what}`,
    }),
  ]
}
