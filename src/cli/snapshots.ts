import type { Command } from 'commander'
import { Failure } from '../errors.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { openConfiguredRepository, readConfiguration } from './open.ts'
import { formatBytes, formatCount, formatTable } from './terminal.ts'

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'snapshots',
    summary: 'list the snapshots of a repository',
    description: 'Lists what can be restored, oldest first. Times are UTC, by the clock of the database.',
    examples: ['chartkeep snapshots', 'chartkeep snapshots --source icu --json'],
    failures: ['missing-secret', 'wrong-key', 'repository-not-found', 'repository-damaged', 'store-unreachable'],
  })
  withConfiguration(command).action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: CommonOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  const lines: string[][] = []
  for (const id of await repository.snapshotIds()) {
    const read = await repository.tryManifest(id)
    if (read instanceof Failure) {
      if (options.json) cli.terminal.out(JSON.stringify({ type: 'snapshot', snapshot: id, unreadable: read.code }))
      lines.push([id, '?', `unreadable: ${read.code}`])
      cli.setExitStatus(read.exitStatus)
      continue
    }
    const { manifest } = read
    if (options.source !== undefined && manifest.sourceName !== options.source) continue
    const rows = manifest.tables.reduce((sum, table) => sum + table.rows.rows, 0)
    if (options.json) {
      cli.terminal.out(
        JSON.stringify({
          type: 'snapshot',
          snapshot: id,
          source: manifest.sourceName,
          time: manifest.position.sourceTime,
          position: manifest.position.lsn,
          mode: manifest.mode,
          tables: manifest.tables.length,
          rows,
          bytesStored: manifest.run.bytesStored,
        }),
      )
    }
    lines.push([
      id,
      manifest.sourceName,
      manifest.position.sourceTime,
      manifest.mode,
      String(manifest.tables.length),
      formatCount(rows),
      formatBytes(manifest.run.bytesStored),
    ])
  }
  if (options.json) return
  if (lines.length === 0) return cli.terminal.out('no snapshots yet: run `chartkeep backup`')
  for (const line of formatTable(
    ['snapshot', 'source', 'time (UTC)', 'mode', 'tables', 'rows', 'stored'],
    lines,
    [4, 5, 6],
  )) {
    cli.terminal.out(line)
  }
}
