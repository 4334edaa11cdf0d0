import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { Failure } from '../errors.ts'
import { renderRecoverySheet } from '../repository/crypto/recovery-sheet.ts'
import { formatVerifierKey } from '../repository/ledger/signed-note.ts'
import { initRepository } from '../repository/repository-lifecycle.ts'
import { createSuitableStore, summarizeProbe } from '../repository/store/probe.ts'
import { storeSettings } from '../secrets.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, readConfiguration, unlockSecret } from './open.ts'

interface InitOptions extends CommonOptions {
  readonly recoverySheet: string
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'init',
    summary: 'make a repository, and its recovery sheet',
    description:
      'Makes an empty, encrypted repository at the address of the configuration.\n' +
      'The passphrase comes from CHARTKEEP_PASSPHRASE or CHARTKEEP_PASSPHRASE_FILE, or a key from CHARTKEEP_KEY_FILE.\n' +
      'Writes the recovery sheet: print it, lock it away, delete the file. Without passphrase, key file and sheet\n' +
      'nobody can open the backups, its makers included.',
    examples: [
      'CHARTKEEP_PASSPHRASE_FILE=/etc/chartkeep/passphrase chartkeep init --config chartkeep.yaml',
      'CHARTKEEP_KEY_FILE=/etc/chartkeep/key chartkeep init --repo file:///srv/chartkeep',
    ],
    failures: [
      'missing-secret',
      'repository-exists',
      'store-unreachable',
      'store-refused',
      'store-full',
      'store-unsuitable',
    ],
  })
  withConfiguration(command)
    .option('--recovery-sheet <file>', 'where to write it', 'chartkeep-recovery-sheet.txt')
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: InitOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  const secret = await unlockSecret(cli.world)
  const settings = await storeSettings(configuration.repository, cli.world)
  const sheetFile = resolve(options.recoverySheet)
  // A sheet that cannot be written must be known before there is a repository that needs it.
  await writeFile(sheetFile, '', { flag: 'wx', mode: 0o600 }).catch(refuseSheet(sheetFile))

  try {
    const { store, probe } = await createSuitableStore(settings)
    const made = await initRepository(store, settings, [secret], { nowMs: cli.nowMs, random: randomBytes })
    await using repository = made.repository
    const sheet = renderRecoverySheet({
      repositoryId: repository.id,
      repositoryUrl: store.url,
      createdAt: made.createdAt,
      verifierKey: formatVerifierKey(repository.ledger.verifierKey),
      secret: made.recoverySecret,
    })
    await writeFile(sheetFile, sheet)
    const detail = `${store.url}: ${summarizeProbe(probe)}`
    const deed = { actor: actorOf(cli), action: 'repository.init', subject: repository.id, detail }
    await repository.audit.around(deed, cli.nowMs, async () => {})
    report(cli, options, { repository: repository.id, url: store.url, recoverySheet: sheetFile })
  } catch (error) {
    await rm(sheetFile, { force: true })
    throw error
  }
}

function report(
  cli: Cli,
  options: InitOptions,
  made: { repository: string; url: string; recoverySheet: string },
): void {
  const { out } = cli.terminal
  if (options.json) {
    out(JSON.stringify({ type: 'repository', ...made }))
    return
  }
  out(`repository      ${made.repository}`)
  out(`address         ${made.url}`)
  out(`recovery sheet  ${made.recoverySheet}`)
  out('')
  out('Print the recovery sheet, lock it away, and delete the file: whoever has it can read every patient.')
  out('If the passphrase or key file and the sheet are all lost, the backups are lost.')
}

function refuseSheet(file: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    const why = error.code === 'EEXIST' ? 'is there already' : `cannot be written (${error.code})`
    throw new Failure('bad-usage', `the recovery sheet ${file} ${why}`, {
      hints: ['Name another file with --recovery-sheet. Nothing was made.'],
    })
  }
}
