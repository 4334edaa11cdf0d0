/** What can be seen without the repository: captures that stand still, a clock that was moved, a store that does not answer, room. */
import type { FailureRecord } from '../../errors.ts'
import type { Condition, Watch } from '../alarm/condition.ts'
import type { CaptureKeeper } from '../capture-keeper.ts'

/** A capture that is down for less is about to be back. */
const CAPTURE_DOWN_MS = 2 * 60_000
const STORE_DOWN_MS = 2 * 60_000
const STILL_MS = 5 * 60_000
/** Longer than a machine is suspended by accident; far less than what makes points in time wrong. */
const CLOCK_JUMP_MS = 5 * 60_000
const CLOCK_ALARM_MS = 60 * 60_000

export function watchCaptures(keepers: readonly CaptureKeeper[], nowMs: () => number): Watch {
  return {
    name: 'captures',
    look: async () =>
      keepers.flatMap(({ state, downSinceMs }) => {
        if (downSinceMs === null || nowMs() - downSinceMs < CAPTURE_DOWN_MS) return []
        const since = new Date(downSinceMs).toISOString()
        const { source, reason } = state
        return [
          {
            key: source,
            kind: 'capture-down' as const,
            severity: 'critical' as const,
            subject: source,
            text: {
              en: `${source} has not been captured since ${since}: ${reason}`,
              zh: `${source} 自 ${since} 起未捕获变更：${reason}`,
            },
          },
        ]
      }),
  }
}

/** Compares the clock with what was slept: asked at every turn of a loop. */
export class ClockWatch implements Watch {
  readonly name = 'clock'
  readonly #nowMs: () => number
  #lastMs: number
  #jump: { readonly byMs: number; readonly atMs: number } | null = null

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
    this.#lastMs = nowMs()
  }

  /** After a pause that was to take so long. */
  slept(ms: number): void {
    const nowMs = this.#nowMs()
    const byMs = nowMs - this.#lastMs - ms
    if (Math.abs(byMs) > CLOCK_JUMP_MS) this.#jump = { byMs, atMs: nowMs }
    this.#lastMs = nowMs
  }

  async look(): Promise<readonly Condition[]> {
    if (!this.#jump || Math.abs(this.#nowMs() - this.#jump.atMs) > CLOCK_ALARM_MS) return []
    const { byMs, atMs } = this.#jump
    const minutes = Math.round(byMs / 60_000)
    const at = new Date(atMs).toISOString()
    return [
      {
        key: at,
        kind: 'clock',
        severity: 'warning',
        subject: 'clock',
        text: {
          en: `the clock of this machine was moved by ${minutes} min, or it stood still, until ${at}`,
          zh: `本机时钟被调整 ${minutes} 分钟，或曾停顿，止于 ${at}`,
        },
      },
    ]
  }
}

export interface StoreLook {
  readonly url: string
  /** Since when it does not answer, and how it fails; null while it does. */
  readonly down: () => { readonly sinceMs: number; readonly failure: FailureRecord } | null
  readonly nowMs: () => number
}

export function watchStore({ url, down, nowMs }: StoreLook): Watch {
  return {
    name: 'store',
    look: async () => {
      const found = down()
      if (found === null || nowMs() - found.sinceMs < STORE_DOWN_MS) return []
      const since = new Date(found.sinceMs).toISOString()
      const { code } = found.failure
      return [
        {
          key: 'down',
          kind: 'not-watched',
          severity: 'critical',
          subject: url,
          text: {
            en: `the store ${url} has not answered since ${since} (${code}): nothing is kept`,
            zh: `存储 ${url} 自 ${since} 起无响应（${code}）：无法保存任何数据`,
          },
        },
      ]
    },
  }
}

/** A loop that does not turn any more (F31). */
export function watchLoop(name: string, lastTurnMs: () => number | null, nowMs: () => number): Watch {
  return {
    name: `loop:${name}`,
    look: async () => {
      const last = lastTurnMs()
      if (last === null || nowMs() - last < STILL_MS) return []
      const since = new Date(last).toISOString()
      return [
        {
          key: 'still',
          kind: 'not-watched',
          severity: 'critical',
          subject: name,
          text: { en: `${name} has stood still since ${since}`, zh: `${name} 自 ${since} 起停滞` },
        },
      ]
    },
  }
}

export function watchSpace(parts: {
  /** Null where the store does not tell. */
  readonly freeBytes: () => Promise<number | null>
  readonly freeBytesMin: number
  readonly place: { readonly en: string; readonly zh: string }
}): Watch {
  const { freeBytes, freeBytesMin, place } = parts
  return {
    name: `space:${place.en}`,
    look: async () => {
      const free = await freeBytes()
      if (free === null || free >= freeBytesMin) return []
      return [
        {
          key: 'low',
          kind: 'space',
          severity: free * 2 < freeBytesMin ? 'critical' : 'warning',
          subject: place.en,
          text: {
            en: `${free} bytes are free at ${place.en}, ${freeBytesMin} are wanted`,
            zh: `${place.zh} 剩余 ${free} 字节，低于 ${freeBytesMin} 字节`,
          },
        },
      ]
    },
  }
}
