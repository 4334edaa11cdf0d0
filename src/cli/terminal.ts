/**
 * Where a command says things: results on stdout, progress and errors on stderr, and with `--json` one object a line.
 */
import { type Failure, failures } from '../errors.ts'

export interface Terminal {
  /** One line of result. */
  out(line: string): void
  /** One line of progress or error. */
  err(line: string): void
  /** A line that the next one replaces; nothing where stderr is no terminal. */
  status(line: string): void
}

export function processTerminal(): Terminal {
  const live = process.stderr.isTTY === true
  let statusShown = false
  const clearStatus = () => {
    if (statusShown) process.stderr.write('\r\u001b[2K')
    statusShown = false
  }
  return {
    out: (line) => {
      clearStatus()
      process.stdout.write(`${line}\n`)
    },
    err: (line) => {
      clearStatus()
      process.stderr.write(`${line}\n`)
    },
    status: (line) => {
      if (!live) return
      clearStatus()
      process.stderr.write(line.slice(0, (process.stderr.columns ?? 80) - 1))
      statusShown = true
    },
  }
}

export function printFailure(terminal: Terminal, failure: Failure, json: boolean): void {
  if (json) {
    const { code, message, hints, context } = failure
    terminal.err(JSON.stringify({ type: 'error', code, message, hints, context, exit: failures[code].exit }))
    return
  }
  terminal.err(`error ${failure.code}: ${failure.message}`)
  for (const hint of failure.hints) terminal.err(`hint: ${hint}`)
}

const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < BINARY_UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BINARY_UNITS[unit]}`
}

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** Columns padded to their widest cell; numbers are given already formatted, and marked by `right`. */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[],
): string[] {
  const widths = head.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(displayWidth)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => {
        const space = ' '.repeat(widths[column]! - displayWidth(cell))
        return right.includes(column) ? space + cell : cell + space
      })
      .join('  ')
      .trimEnd()
  return [line(head), ...rows.map(line)]
}

/** Chinese characters take two columns of a terminal. */
function displayWidth(text: string): number {
  let width = 0
  for (const character of text)
    width += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]/u.test(
      character,
    )
      ? 2
      : 1
  return width
}
