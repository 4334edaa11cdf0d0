/**
 * What a tenth of a day of 100 beds leaves in the repository: the ward plays fifty times faster than it is, and segments are
 * sealed fifty times as often as by default, so that each holds what it would hold. 0.62 M rows a day.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import { RunningCommand } from '../scripts/demo/running-command.ts'
import { startWard } from '../scripts/reference/ward.ts'
import { captureProgram, captureWorld, configurationOf, prepare } from './capture.ts'
import type { Question } from './questions.ts'
import { directoryBytes, type Finding, type Stage } from './stage.ts'

const ROWS_A_DAY = 620_000
const SEAL_SECONDS = 5
const SPEED_UP = 50
const SHARE = 0.1
const CALIBRATION_MS = 8_000

export const day: Question = async (stage) => {
  await prepare(stage)
  await sealOften(stage)
  await using running = new RunningCommand(captureProgram(stage), captureWorld())
  await running.says('connected')
  await stage.chartkeep('backup')
  const rowsASecond = (ROWS_A_DAY / 86_400) * SPEED_UP
  const rowsAnAction = await rowsOfOneAction(stage, running)
  const from = running.said.length
  const before = await directoryBytes(join(stage.repository, 'segments'))
  const wholeBefore = await directoryBytes(stage.repository)
  const playing = await startWard({ url: stage.url, actionsPerSecond: rowsASecond / rowsAnAction, connections: 4 })
  await sleep((86_400 * SHARE * 1000) / SPEED_UP)
  await playing.stop()
  await sleep(2_000)
  const sealed = running.said.slice(from).filter(({ kind }) => kind === 'sealed')
  const sum = (name: string) => sealed.reduce((total, line) => total + Number(line[name] ?? 0), 0)
  const segments = (await directoryBytes(join(stage.repository, 'segments'))) - before
  const taken = await stage.chartkeep('backup')
  const whole = (await directoryBytes(stage.repository)) - wholeBefore
  const what = `${sealed.length} segments of ${sum('changes')} changes, ${sum('textBytes')} bytes of text`
  const found = (rest: string, bytes: number): Finding => ({
    question: 'day',
    what: `${what}: ${rest}`,
    measured: taken,
    bytes,
  })
  return [found('the segments', segments), found('with the incremental snapshot at the end, nothing removed', whole)]
}

async function sealOften(stage: Stage): Promise<void> {
  const path = configurationOf(stage)
  const configuration = parse(await readFile(path, 'utf8'))
  configuration.sources.icu.capture = { sealSeconds: SEAL_SECONDS / SPEED_UP }
  await writeFile(path, stringify(configuration))
}

async function rowsOfOneAction({ url }: Stage, running: RunningCommand): Promise<number> {
  const from = running.said.length
  const ward = await startWard({ url, actionsPerSecond: 50, connections: 4 })
  await sleep(CALIBRATION_MS)
  const { actions } = await ward.stop()
  await sleep(2_000)
  const changes = running.said.slice(from).reduce((total, line) => total + Number(line.changes ?? 0), 0)
  return changes / actions
}
