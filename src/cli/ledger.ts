import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { Failure } from '../errors.ts'
import { type Checkpoint, openCheckpoint } from '../repository/ledger/checkpoint.ts'
import { requireConsistent } from '../repository/ledger/log.ts'
import { formatPaper, parsePaper } from '../repository/ledger/paper-checkpoint.ts'
import { formatVerifierKey } from '../repository/ledger/signed-note.ts'
import type { Repository } from '../repository/repository.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { openConfiguredRepository, readConfiguration } from './open.ts'

interface CheckpointOptions extends CommonOptions {
  readonly paper: boolean
}

interface VerifyOptions extends CommonOptions {
  readonly since: string[]
}

export function register(program: Command, cli: Cli): void {
  const ledger = new Command('ledger').summary('prove that history was not rewritten').exitOverride()
  ledger.description('The append-only list of everything that was ever a snapshot (RFC 6962).')

  const checkpoint = describe({
    name: 'checkpoint',
    summary: "print the ledger's signed head",
    description:
      'Keep it where whoever runs the backups cannot reach it: with the audit office, in the minutes, on paper. Whoever\n' +
      'holds it can later have it proved that nothing before it was planted, removed, reordered or rolled back.',
    examples: ['chartkeep ledger checkpoint > checkpoint.txt', 'chartkeep ledger checkpoint --paper'],
    failures: ['missing-secret', 'wrong-key', 'repository-not-found', 'repository-damaged'],
  })
  withConfiguration(checkpoint)
    .option('--paper', 'eight short lines to print, read aloud and type back', false)
    .action(action(cli, runCheckpoint))

  const verify = describe({
    name: 'verify',
    summary: 'prove that history is the one a checkpoint saw',
    description: 'Checkpoints are files as `ledger checkpoint` printed them, or typed from paper; several say more.',
    examples: [
      'chartkeep ledger verify --since checkpoint.txt',
      'chartkeep ledger verify --since march.txt --since april.txt',
    ],
    failures: ['missing-secret', 'wrong-key', 'repository-damaged', 'signature-refused', 'history-rewritten'],
  })
  withConfiguration(verify)
    .requiredOption('--since <file...>', 'checkpoints that were kept')
    .action(action(cli, runVerify))
  program.addCommand(ledger.addCommand(checkpoint).addCommand(verify))
}

async function runCheckpoint(cli: Cli, options: CheckpointOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const time = `${new Date(cli.nowMs()).toISOString().slice(0, 19)}Z`
  const { checkpoint, note } = await repository.ledger.checkpoint(time)
  const verifierKey = formatVerifierKey(repository.ledger.verifierKey)
  const paper = formatPaper(checkpoint)
  if (options.json) {
    return cli.terminal.out(JSON.stringify({ type: 'checkpoint', size: checkpoint.size, note, paper, verifierKey }))
  }
  cli.terminal.out((options.paper ? paper : note).trimEnd())
  cli.terminal.err(`verifier key: ${verifierKey}`)
}

async function runVerify(cli: Cli, options: VerifyOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const checkpoints: Checkpoint[] = []
  for (const file of options.since) checkpoints.push(await readCheckpoint(file, repository))
  const verdict = await repository.ledger.since(checkpoints)
  requireConsistent(repository.ledger.origin, verdict)
  if (options.json) return cli.terminal.out(JSON.stringify({ type: 'ledger', ...verdict }))
  if (verdict.kind !== 'consistent') return
  cli.terminal.out(`consistent  ${verdict.size} snapshots, ${verdict.grewBy} of them since the newest checkpoint`)
}

async function readCheckpoint(file: string, repository: Repository): Promise<Checkpoint> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Failure('bad-usage', `cannot read the checkpoint ${file} (${error.code})`)
  })
  const isNote = text.includes('\n\n\u2014 ')
  return isNote ? openCheckpoint(text, [repository.ledger.verifierKey], repository.ledger.origin) : parsePaper(text)
}
