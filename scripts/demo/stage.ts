/** What all acts of the demo share: the story, the databases, and where everything lies. */
import { isAbsolute, join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { PostgresServer } from '../support/postgres-server.ts'
import type { Story } from './story.ts'

export interface DemoOptions {
  /** Replaced, when an earlier demo made it. */
  readonly directory: string
  /** About so many rows instead of XS's 0.4 million. */
  readonly rows?: number | undefined
  /** How long the ward works between the snapshots. */
  readonly wardSeconds: number
  readonly print: (line: string) => void
}

/** As commands name them: inside the checkout by relative paths, as somebody would type them there. */
export interface Places {
  readonly configuration: string
  readonly passphrase: string
  readonly recoverySheet: string
  readonly checkpoint: string
  readonly setupSql: string
  readonly certificate: string
  readonly writerSql: string
  readonly approverKey: string
  readonly plan: string
  readonly planPage: string
  readonly undoPlan: string
  readonly againPlan: string
  readonly againPage: string
  readonly repositoryUrl: string
}

export interface Stage {
  readonly story: Story
  readonly places: Places
  readonly server: PostgresServer
  /** As the administrator. */
  readonly sourceUrl: string
  readonly options: DemoOptions
}

/** Commands are run here. */
export const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))
export const SEED = 1
/** The role that chartkeep reads with. */
export const ROLE = 'chartkeep'

/** Where the file is, whatever directory this process was started in. */
export function fromCheckout(place: string): string {
  return resolve(CHECKOUT, place)
}

export function placesIn(directory: string): Places {
  const inCheckout = relative(CHECKOUT, directory)
  const isOutside = inCheckout.startsWith('..') || isAbsolute(inCheckout)
  const place = (name: string) => join(isOutside ? directory : inCheckout, name)
  return {
    configuration: place('chartkeep.yaml'),
    passphrase: place('passphrase'),
    recoverySheet: place('recovery-sheet.txt'),
    checkpoint: place('checkpoint.txt'),
    setupSql: place('setup.sql'),
    certificate: place('certificate'),
    writerSql: place('writer.sql'),
    approverKey: place('approver.key'),
    plan: place('plan.json'),
    planPage: place('plan.html'),
    undoPlan: place('undo.json'),
    againPlan: place('again.json'),
    againPage: place('again.html'),
    repositoryUrl: pathToFileURL(join(directory, 'repository')).href,
  }
}
