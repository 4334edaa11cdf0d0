/** An alarm message as people read it, in English or in Chinese. */
import type { KeptAlarm } from './alarm-store.ts'
import type { Message } from './notifier.ts'

export type Language = 'en' | 'zh'

export interface PlainMessage {
  readonly subject: string
  readonly body: string
}

const WORDS = {
  en: {
    critical: 'CRITICAL',
    warning: 'warning',
    open: (count: number) => `${count} open`,
    over: (count: number) => `${count} over`,
    since: 'since',
    isOver: 'over since',
    hint: 'Acknowledge: chartkeep alarms ack ID --reason TEXT. Until then this is repeated.',
  },
  zh: {
    critical: '严重',
    warning: '警告',
    open: (count: number) => `${count} 条未解除`,
    over: (count: number) => `${count} 条已解除`,
    since: '起始',
    isOver: '已解除',
    hint: '确认：chartkeep alarms ack 编号 --reason 原因。确认之前将重复提醒。',
  },
} as const

export function plainMessage({ host, at, open, over }: Message, language: Language): PlainMessage {
  const words = WORDS[language]
  const counts = [
    open.length > 0 ? words.open(open.length) : '',
    over.length > 0 ? words.over(over.length) : '',
  ].filter((count) => count !== '')
  const critical = open.some(({ severity }) => severity === 'critical') ? `${words.critical}: ` : ''
  const lines = [
    ...open.map((alarm) => lineOf(alarm, language)),
    ...over.map((alarm) => lineOf(alarm, language)),
    '',
    ...(open.length > 0 ? [words.hint] : []),
    `${host}  ${at}`,
  ]
  return { subject: `[chartkeep] ${critical}${counts.join(language === 'zh' ? '，' : ', ')}`, body: lines.join('\n') }
}

export function lineOf({ id, severity, text, raisedAt, endedAt }: KeptAlarm, language: Language): string {
  const words = WORDS[language]
  const when = endedAt === null ? `${words.since} ${raisedAt}` : `${words.isOver} ${endedAt}`
  return `${id}  ${words[severity]}  ${text[language]}  (${when})`
}
