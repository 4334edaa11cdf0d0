/**
 * Every command, in the order of the help. A command's file is loaded when it is asked for: starting all of them takes
 * longer than most of them work.
 */
import { Command } from 'commander'
import type { Cli } from './command.ts'

interface CommandFile {
  readonly register: (program: Command, cli: Cli) => void
}

const files: Readonly<Record<string, readonly (() => Promise<CommandFile>)[]>> = {
  discover: [() => import('./discover.ts')],
  'setup-sql': [() => import('./setup-sql.ts')],
  init: [() => import('./init.ts')],
  backup: [() => import('./backup.ts')],
  capture: [() => import('./capture.ts')],
  serve: [() => import('./serve.ts')],
  status: [() => import('./status.ts')],
  alarms: [() => import('./alarms.ts')],
  doctor: [() => import('./doctor.ts')],
  snapshots: [() => import('./snapshots.ts')],
  show: [() => import('./show.ts')],
  hold: [() => import('./hold.ts')],
  forget: [() => import('./forget.ts')],
  prune: [() => import('./prune.ts')],
  history: [() => import('./history.ts')],
  changes: [() => import('./changes.ts')],
  restore: [() => import('./restore-database.ts'), () => import('./restore-patient.ts')],
  patient: [() => import('./patient.ts')],
  approve: [() => import('./approve.ts')],
  undo: [() => import('./undo.ts')],
  unmerge: [() => import('./unmerge.ts')],
  check: [() => import('./check.ts')],
  scrub: [() => import('./scrub.ts')],
  compare: [() => import('./compare.ts')],
  drill: [() => import('./drill.ts')],
  guard: [() => import('./guard.ts')],
  certificate: [() => import('./certificate.ts')],
  store: [() => import('./store-probe.ts')],
  key: [() => import('./key.ts')],
  wrapper: [() => import('./wrapper.ts')],
  token: [() => import('./token.ts')],
  ledger: [() => import('./ledger.ts')],
  audit: [() => import('./audit.ts')],
  pseudonym: [() => import('./pseudonym.ts')],
}

/** Of the command that the arguments begin with, or of all where they begin with none: for the help, and for hints. */
export async function registerCommands(program: Command, cli: Cli, [first]: readonly string[]): Promise<void> {
  for (const name of namesFor(first)) {
    const parent = name === 'restore' ? restoreGroup() : program
    for (const load of files[name]!) (await load()).register(parent, cli)
    if (parent !== program) program.addCommand(parent)
  }
}

function namesFor(first: string | undefined): readonly string[] {
  if (first === '--version' || first === '-V') return []
  return first !== undefined && Object.hasOwn(files, first) ? [first] : Object.keys(files)
}

function restoreGroup(): Command {
  return new Command('restore')
    .summary('give back a database, or one patient')
    .description('Gives back what the repository holds: a whole database, or one patient.')
    .exitOverride()
}
