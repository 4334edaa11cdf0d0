/**
 * The command line: the entry point that names the real world (clock, environment, terminal, signals) and hands it to
 * the commands.
 */
import { setTimeout } from 'node:timers/promises'
import { Command, CommanderError } from 'commander'
import { Failure, failures } from '../errors.ts'
import { tool } from '../tool.ts'
import { processWorld } from '../world.ts'
import { register as registerApprove } from './approve.ts'
import { register as registerAudit } from './audit.ts'
import { register as registerBackup } from './backup.ts'
import { register as registerCapture } from './capture.ts'
import { register as registerChanges } from './changes.ts'
import { register as registerCheck } from './check.ts'
import type { Cli } from './command.ts'
import { register as registerCompare } from './compare.ts'
import { register as registerDiscover } from './discover.ts'
import { register as registerHistory } from './history.ts'
import { register as registerInit } from './init.ts'
import { register as registerKey } from './key.ts'
import { register as registerLedger } from './ledger.ts'
import { register as registerPatient } from './patient.ts'
import { register as registerPseudonym } from './pseudonym.ts'
import { register as registerRestoreDatabase } from './restore-database.ts'
import { register as registerRestorePatient } from './restore-patient.ts'
import { register as registerScrub } from './scrub.ts'
import { register as registerSetupSql } from './setup-sql.ts'
import { register as registerShow } from './show.ts'
import { register as registerSnapshots } from './snapshots.ts'
import { register as registerStatus } from './status.ts'
import { register as registerStoreProbe } from './store-probe.ts'
import { processTerminal } from './terminal.ts'
import { register as registerToken } from './token.ts'
import { register as registerUndo } from './undo.ts'
import { register as registerWrapper } from './wrapper.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => stop.abort(new Failure('cancelled', `stopped by ${signal}`)))
}

const cli: Cli = {
  terminal: processTerminal(),
  world: processWorld(),
  nowMs: () => Date.now(),
  sleep: async (ms, signal) => {
    await setTimeout(ms, undefined, { signal })
  },
  signal: stop.signal,
  setExitStatus: (status) => {
    process.exitCode = status
  },
}

const program = new Command('chartkeep')
  .description(
    'Backup, recovery and integrity of an intensive-care database.\n重症临床信息系统数据库的备份、恢复与完整性核验。',
  )
  .version(tool.version)
  .showHelpAfterError('Run `chartkeep --help` for the commands, `chartkeep COMMAND --help` for one of them.')
  .exitOverride()

registerDiscover(program, cli)
registerSetupSql(program, cli)
registerInit(program, cli)
registerBackup(program, cli)
registerCapture(program, cli)
registerStatus(program, cli)
registerSnapshots(program, cli)
registerShow(program, cli)
registerHistory(program, cli)
registerChanges(program, cli)
const restore = new Command('restore')
  .summary('give back a database, or one patient')
  .description('Gives back what the repository holds: a whole database, or one patient.')
  .exitOverride()
registerRestoreDatabase(restore, cli)
registerRestorePatient(restore, cli)
program.addCommand(restore)
registerPatient(program, cli)
registerApprove(program, cli)
registerUndo(program, cli)
registerCheck(program, cli)
registerScrub(program, cli)
registerCompare(program, cli)
registerStoreProbe(program, cli)
registerKey(program, cli)
registerWrapper(program, cli)
registerToken(program, cli)
registerLedger(program, cli)
registerAudit(program, cli)
registerPseudonym(program, cli)

try {
  await program.parseAsync(process.argv)
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? 0 : failures['bad-usage'].exit
}
