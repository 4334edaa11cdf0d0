/** Numbers for people: binary units, thousands, seconds. */
export { formatBytes, formatCount } from '../../src/cli/terminal.ts'

export function formatSeconds(seconds: number): string {
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
}

/** `0.6 %`; what is less than a thousandth is said to be so. */
export function formatShare(part: number, whole: number): string {
  if (whole === 0) return '–'
  const percent = (100 * part) / whole
  if (percent > 0 && percent < 0.1) return '< 0.1 %'
  return `${percent.toFixed(percent < 10 ? 1 : 0)} %`
}

/** Enough to compare by eye. */
export function shortDigest(hex: string): string {
  return hex.slice(0, 10)
}
