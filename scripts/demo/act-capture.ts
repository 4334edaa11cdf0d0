/** Capture runs beside everything else, from before the base until an accident has befallen a patient. */
import { formatBytes, formatCount, formatSeconds } from './format.ts'
import { type CaptureResult, shapes } from './result.ts'
import type { RunningCommand, Said } from './running-command.ts'
import type { Stage } from './stage.ts'

export async function startCapture({ story, places }: Stage): Promise<RunningCommand> {
  const command = ['capture', '--config', places.configuration]
  return await story.starts('capture', command, 'connected', (said) => {
    return `following ${shapes.connected.parse(said).tables} tables; it goes on beside everything below`
  })
}

export async function stopCapture({ story }: Stage, running: RunningCommand): Promise<CaptureResult> {
  const stop = async () => {
    const { status, stderr } = await running.stop()
    story.expect('stop', status === 0, stderr)
    return summed(running.said)
  }
  return await story.does('stop', stop, ({ segments, transactions, changes, textBytes, lagSecondsMax }) => {
    const lag = lagSecondsMax === null ? '' : `, each in the repository within ${formatSeconds(lagSecondsMax)}`
    return `${formatCount(changes)} changes of ${formatCount(transactions)} transactions, ${formatBytes(textBytes)} of text, in ${segments} segments${lag}`
  })
}

function summed(said: readonly Said[]): CaptureResult {
  const sealed = said.filter(({ kind }) => kind === 'sealed').map((line) => shapes.sealed.parse(line))
  const sum = (of: (line: (typeof sealed)[number]) => number) => sealed.reduce((total, line) => total + of(line), 0)
  const lags = sealed.flatMap(({ lagMs }) => (lagMs === null ? [] : [lagMs / 1000]))
  return {
    tables: shapes.connected.parse(said.find(({ kind }) => kind === 'connected')).tables,
    segments: sealed.length,
    transactions: sum((line) => line.transactions),
    changes: sum((line) => line.changes),
    textBytes: sum((line) => line.textBytes),
    lagSecondsMax: lags.length === 0 ? null : Math.max(...lags),
  }
}
