/**
 * The demo, from beginning to end: an ICU database at work is followed and backed up twice, both snapshots are checked in
 * every way there is, and the database is rebuilt elsewhere and proved: as of a moment between the snapshots, and as of
 * the newest. One patient is put back after an accident, in the live database, and that is taken back.
 *
 * What a user would type is run as a user would run it: as a process of its own, from the command line. The ward pauses
 * before the second snapshot, so that source, snapshot and rebuilt database can be compared row for row at the end,
 * also by PostgreSQL alone, which knows nothing of chartkeep.
 */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, release, type } from 'node:os'
import { join } from 'node:path'
import { tool } from '../../src/tool.ts'
import { startPostgres } from '../support/postgres-server.ts'
import { backUpTwice } from './act-back-up.ts'
import { startCapture, stopCapture } from './act-capture.ts'
import { certify } from './act-certificate.ts'
import { rebuildMoment } from './act-moment.ts'
import { haveAccident, repairPatient } from './act-patient.ts'
import { makeDatabase, setUp } from './act-prepare.ts'
import { rebuild } from './act-rebuild.ts'
import { verify } from './act-verify.ts'
import { directoryBytes, prepareOutputDirectory } from './output-directory.ts'
import type { DemoResult } from './result.ts'
import { type DemoOptions, fromCheckout, placesIn, SEED } from './stage.ts'
import { Story } from './story.ts'

/** Without a limit on what the server keeps for it, capture makes no slot. */
const SETTINGS = { max_slot_wal_keep_size: '2GB' }

/** @throws StepFailed, and a Failure when not even the directory can be had */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const startedAt = new Date().toISOString()
  const { directory, print } = options
  await prepareOutputDirectory(directory)
  const places = placesIn(directory)
  const password = randomBytes(12).toString('hex')
  await writeFile(fromCheckout(places.passphrase), `${randomBytes(15).toString('base64url')}\n`, { mode: 0o600 })
  print('chartkeep: a demonstration on a database of its own. `chartkeep` stands for `npm run -s chartkeep --`.')
  print(`Set for every command: CHARTKEEP_PASSPHRASE_FILE=${places.passphrase} and PGPASSWORD.`)
  const story = new Story(
    {
      PGPASSWORD: password,
      CHARTKEEP_PASSPHRASE_FILE: places.passphrase,
      CHARTKEEP_KEY_PASSPHRASE: randomBytes(15).toString('base64url'),
    },
    print,
  )

  await using server = await story.does(
    'server',
    () => startPostgres({ requirePasswords: true, settings: SETTINGS }),
    (started) => `PostgreSQL ${started.version} on port ${started.port}, with data of its own; stopped at the end`,
  )
  const sourceUrl = await makeDatabase(story, server, options)
  const stage = { story, places, server, sourceUrl, options }
  await setUp(stage, password)
  await using capture = await startCapture(stage)
  const { then, ...backUps } = await backUpTwice(stage)
  const verified = await verify(stage)
  const moment = await rebuildMoment(stage, then)
  const rebuilt = await rebuild(stage, { base: backUps.base.snapshot, second: backUps.second.snapshot })
  await certify(stage)
  const accident = await haveAccident(stage, password, capture)
  const captured = await stopCapture(stage, capture)
  const patient = await repairPatient(stage, accident)

  return {
    startedAt,
    seconds: story.nowSeconds(),
    machine: {
      cores: availableParallelism(),
      processor: cpus()[0]?.model.trim() || 'unknown',
      system: `${type()} ${release()}`,
    },
    versions: { chartkeep: tool.version, node: process.version, postgres: rebuilt.serverVersion },
    seed: SEED,
    repositoryBytes: await directoryBytes(join(directory, 'repository')),
    steps: story.steps,
    ...backUps,
    capture: captured,
    moment,
    patient,
    ...verified,
    ...rebuilt,
  }
}
