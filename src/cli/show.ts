import type { Command } from 'commander'
import type { Manifest } from '../repository/manifest.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { openConfiguredRepository, readConfiguration } from './open.ts'
import { formatBytes, formatCount, formatTable } from './terminal.ts'

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'show',
    summary: 'show what one snapshot holds, and what it does not',
    description:
      'Tables with their category, way to the patient, rows and root; then everything of the database that the snapshot\n' +
      'does not hold. Without a name: the newest. With --json: the whole manifest.',
    examples: ['chartkeep show', 'chartkeep show 20260301T060000Z-1f2e3d4c --json'],
    failures: ['missing-secret', 'wrong-key', 'repository-not-found', 'snapshot-not-found', 'repository-damaged'],
  })
  command.argument('[snapshot]', 'which one; the newest when not given')
  withConfiguration(command).action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, snapshot: string | undefined, options: CommonOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  const id = snapshot ?? (await repository.snapshotIds()).at(-1)
  if (id === undefined) return cli.terminal.out('no snapshots yet: run `chartkeep backup`')
  const { manifest, sha256 } = await repository.readManifest(id)
  if (options.json) return cli.terminal.out(JSON.stringify({ type: 'manifest', sha256, ...manifest }))
  for (const line of [...heading(manifest, sha256), '', ...tables(manifest), '', ...notHeld(manifest)])
    cli.terminal.out(line)
}

function heading(manifest: Manifest, sha256: string): string[] {
  const { source, position, run: figures } = manifest
  return [
    `snapshot  ${manifest.snapshotId}   sha256 ${sha256}`,
    `source    ${manifest.sourceName}: ${source.databaseName}, ${source.engine} ${source.serverVersion}, ${source.encoding}`,
    `identity  system ${source.systemId}, timeline ${source.timeline}, database ${source.databaseOid}`,
    `position  ${position.lsn} at ${position.sourceTime}, visible ${position.visible}`,
    `mode      ${manifest.mode}: ${manifest.modeReason}`,
    `stored    ${formatBytes(figures.bytesStored)} of ${formatBytes(figures.bytesRead)} read`,
    `schema    by ${manifest.ddl.origin}, ${manifest.ddl.steps.length} statements`,
  ]
}

function tables(manifest: Manifest): string[] {
  const rows = manifest.tables.map((table) => [
    table.name,
    table.category,
    table.anchorPath.join(' → ') || '–',
    table.primaryKey.join(', ') || 'none',
    formatCount(table.rows.rows),
    formatBytes(table.rows.textBytes),
    table.rows.digest.slice(0, 16),
  ])
  return formatTable(['table', 'category', 'to the patient', 'key', 'rows', 'text', 'root'], rows, [4, 5])
}

function notHeld(manifest: Manifest): string[] {
  const listed = [...manifest.notCaptured, ...manifest.ddl.notCarried]
  if (listed.length === 0) return ['not held: nothing']
  const rows = listed.map((item) => [item.kind, item.name, item.reason])
  return ['not held:', ...formatTable(['kind', 'name', 'reason'], rows, []).slice(1)]
}
