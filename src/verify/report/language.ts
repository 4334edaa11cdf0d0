/** How a report writes times, spans and numbers in each language. The same input gives the same text on every machine. */

export type Language = 'zh' | 'en'

/** One thing said in every language. */
export type Phrase = Readonly<Record<Language, string>>

/** An east offset, because zone tables differ between machines: 480 for China. */
export interface Zone {
  readonly offsetMinutes: number
}

export const CHINA: Zone = { offsetMinutes: 480 }

/** `2026-11-23 19:55:29 +08:00`. */
export function formatInstant(epochMs: number, zone: Zone): string {
  return `${formatDay(epochMs, zone)} ${formatClock(epochMs, zone)} ${formatOffset(zone)}`
}

/** `2026-11-23`. */
function formatDay(epochMs: number, zone: Zone): string {
  return shifted(epochMs, zone).slice(0, 10)
}

/** `19:55:29.120`; without milliseconds where they are zero. */
export function formatClock(epochMs: number, zone: Zone): string {
  return shifted(epochMs, zone)
    .slice(11, 23)
    .replace(/\.000$/, '')
}

/** `+08:00`. */
export function formatOffset({ offsetMinutes }: Zone): string {
  const minutes = Math.abs(offsetMinutes)
  const parts = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, '0'))
  return `${offsetMinutes < 0 ? '-' : '+'}${parts.join(':')}`
}

/** Two figures that matter are enough: `0.84 s`, `12.3 s`, `4 min 05 s`, `2 h 10 min`. */
export function formatSpan(ms: number, language: Language): string {
  const [second, minute, hour] = language === 'zh' ? [' 秒', ' 分 ', ' 小时 '] : [' s', ' min ', ' h ']
  const sign = ms < 0 ? '-' : ''
  const seconds = Math.abs(ms) / 1000
  if (seconds < 10) return `${sign}${seconds.toFixed(2)}${second}`
  if (seconds < 60) return `${sign}${seconds.toFixed(1)}${second}`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${sign}${Math.floor(whole / 60)}${minute}${twoDigits(whole % 60)}${second}`
  const minutes = Math.round(seconds / 60)
  return `${sign}${Math.floor(minutes / 60)}${hour}${twoDigits(minutes % 60)}${minute.trimEnd()}`
}

/** `1,234,567`, in both languages. */
export function formatCount(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ',')
}

/** `98.7 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** Groups of four, as people read digests to each other. */
export function groupsOfFour(hex: string): string {
  return hex.replaceAll(/(.{4})(?=.)/g, '$1 ')
}

function shifted(epochMs: number, zone: Zone): string {
  return new Date(epochMs + zone.offsetMinutes * 60_000).toISOString()
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}
