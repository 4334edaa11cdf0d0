import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { Failure } from '../errors.ts'
import type { UnlockSecret } from '../repository/crypto/key-wrapper.ts'
import { KEY_FILE_BYTES_MIN } from '../repository/crypto/key-wrapper.ts'
import { RECOVERY_SECRET_BYTES, renderRecoverySheet } from '../repository/crypto/recovery-sheet.ts'
import { formatVerifierKey } from '../repository/ledger/signed-note.ts'
import type { Repository } from '../repository/repository.ts'
import { addWrapper, listWrappers, revokeWrapper, rotateDataKey } from '../repository/unlocking.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatTable } from './terminal.ts'

interface AddOptions extends CommonOptions {
  readonly passphraseFile?: string
  readonly keyFile?: string
  readonly recoverySheet?: string
}

const FAILURES = ['missing-secret', 'wrong-key', 'repository-not-found', 'store-unreachable'] as const

export function register(program: Command, cli: Cli): void {
  const wrapper = new Command('wrapper').summary('passphrases, key files and recovery sheets').exitOverride()
  wrapper.description('What unlocks the repository. Adding and revoking rewrites no data.')

  const add = describe({
    name: 'add',
    summary: 'add a way to unlock the repository',
    description: 'Exactly one of the three. To change a passphrase: add the new one, try it, then revoke the old one.',
    examples: [
      'chartkeep wrapper add --passphrase-file new-passphrase',
      'chartkeep wrapper add --recovery-sheet second-sheet.txt',
    ],
    failures: FAILURES,
  })
  withConfiguration(add)
    .option('--passphrase-file <file>', 'its first line is the new passphrase')
    .option('--key-file <file>', `at least ${KEY_FILE_BYTES_MIN} random bytes`)
    .option('--recovery-sheet <file>', 'a new sheet is written there')
    .action(action(cli, runAdd))

  const list = describe({
    name: 'list',
    summary: 'list what unlocks the repository',
    description: 'Kinds and dates. Nothing here says what the secrets are.',
    examples: ['chartkeep wrapper list'],
    failures: FAILURES,
  })
  withConfiguration(list).action(action(cli, runList))

  const revoke = describe({
    name: 'revoke',
    summary: 'remove a way to unlock the repository',
    description:
      'Its secret opens this repository no more. Whoever kept a copy of the wrapper object and knows the secret still\n' +
      'has the master key: after a theft of both, make a new repository.',
    examples: ['chartkeep wrapper revoke 20260301T060000Z-1f2e3d4c'],
    failures: FAILURES,
  })
  revoke.argument('<wrapper>', 'its id, from `chartkeep wrapper list`')
  withConfiguration(revoke).action(action(cli, runRevoke))

  const rotate = describe({
    name: 'rotate-data-key',
    summary: 'encrypt new data under a new key',
    description: 'What is stored stays under its own key, and readable.',
    examples: ['chartkeep wrapper rotate-data-key'],
    failures: FAILURES,
  })
  withConfiguration(rotate).action(action(cli, runRotate))
  program.addCommand(wrapper.addCommand(add).addCommand(list).addCommand(revoke).addCommand(rotate))
}

async function runAdd(cli: Cli, options: AddOptions): Promise<void> {
  const given = [options.passphraseFile, options.keyFile, options.recoverySheet].filter((file) => file !== undefined)
  if (given.length !== 1) {
    throw new Failure('bad-usage', `${given.length} secrets were given, exactly one is wanted`, {
      hints: ['Give --passphrase-file, --key-file or --recovery-sheet.'],
    })
  }
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const secret = await newSecret(cli, options, repository)
  const deed = { actor: actorOf(cli), action: 'wrapper.add', subject: '', detail: secret.kind }
  const world = { nowMs: cli.nowMs, random: randomBytes }
  const work = () => addWrapper(repository, secret, world)
  const wrapper = await repository.audit.around(deed, cli.nowMs, work, (made) => made.id)
  if (options.json) return cli.terminal.out(JSON.stringify({ type: 'wrapper', id: wrapper.id, kind: wrapper.kind }))
  cli.terminal.out(`wrapper  ${wrapper.id}  ${wrapper.kind}`)
}

async function newSecret(cli: Cli, options: AddOptions, repository: Repository): Promise<UnlockSecret> {
  if (options.passphraseFile !== undefined) {
    const passphrase = (await readSecret(options.passphraseFile)).toString('utf8').split(/\r?\n/, 1)[0] ?? ''
    if (passphrase === '') throw new Failure('missing-secret', `${options.passphraseFile} is empty`)
    return { kind: 'passphrase', passphrase }
  }
  if (options.keyFile !== undefined) {
    const bytes = await readSecret(options.keyFile)
    if (bytes.length >= KEY_FILE_BYTES_MIN) return { kind: 'key-file', bytes }
    throw new Failure('missing-secret', `the key file has ${bytes.length} bytes, wanted at least ${KEY_FILE_BYTES_MIN}`)
  }
  const secret = randomBytes(RECOVERY_SECRET_BYTES)
  const sheet = renderRecoverySheet({
    repositoryId: repository.id,
    repositoryUrl: repository.store.url,
    createdAt: new Date(cli.nowMs()).toISOString(),
    verifierKey: formatVerifierKey(repository.ledger.verifierKey),
    secret,
  })
  const file = resolve(options.recoverySheet ?? '')
  await writeFile(file, sheet, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    throw new Failure('bad-usage', `the recovery sheet ${file} cannot be written (${error.code})`)
  })
  return { kind: 'recovery-sheet', secret }
}

async function readSecret(file: string): Promise<Buffer> {
  return await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new Failure('missing-secret', `cannot read ${file} (${error.code})`)
  })
}

async function runList(cli: Cli, options: CommonOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const wrappers = await listWrappers(repository)
  if (options.json) {
    for (const { id, kind, createdAt } of wrappers)
      cli.terminal.out(JSON.stringify({ type: 'wrapper', id, kind, createdAt }))
    return
  }
  const rows = wrappers.map(({ id, kind, createdAt }) => [id, kind, createdAt])
  for (const line of formatTable(['wrapper', 'kind', 'made'], rows, [])) cli.terminal.out(line)
}

async function runRevoke(cli: Cli, id: string, options: CommonOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const deed = { actor: actorOf(cli), action: 'wrapper.revoke', subject: id, detail: '' }
  const wrapper = await repository.audit.around(deed, cli.nowMs, () => revokeWrapper(repository, id))
  if (options.json) return cli.terminal.out(JSON.stringify({ type: 'wrapper', id, kind: wrapper.kind, revoked: true }))
  cli.terminal.out(`revoked  ${id}  ${wrapper.kind}`)
}

async function runRotate(cli: Cli, options: CommonOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const deed = { actor: actorOf(cli), action: 'data-key.rotate', subject: '', detail: '' }
  const world = { nowMs: cli.nowMs, random: randomBytes }
  const number = await repository.audit.around(deed, cli.nowMs, () => rotateDataKey(repository, world), String)
  if (options.json) return cli.terminal.out(JSON.stringify({ type: 'data-key', number }))
  cli.terminal.out(`data key  ${number}: new data from the next command on`)
}
