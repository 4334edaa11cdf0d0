/** A snapshot's manifest, as `show --json` prints it. */
import { z } from 'zod'
import { type Manifest, parseManifest } from '../../src/repository/manifest.ts'
import type { Stage } from './stage.ts'

export async function readManifest({ story, places }: Stage, snapshot: string): Promise<Manifest> {
  const command = ['show', snapshot, '--config', places.configuration]
  const shown = await story.asks('show', command, z.unknown(), (value) => describe(parseManifest(value, snapshot)))
  return parseManifest(shown, snapshot)
}

function describe({ tables, notCaptured, ddl }: Manifest): string {
  const notHeld = [...notCaptured, ...ddl.notCarried]
  const lines = notHeld.map(({ kind, name, reason }) => `  ${kind} ${name}: ${reason}`)
  return [
    `${tables.length} tables, ${ddl.steps.length} statements of schema; not held: ${notHeld.length}`,
    ...lines,
  ].join('\n')
}
