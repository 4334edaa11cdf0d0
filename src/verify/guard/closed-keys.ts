/** Which records were closed when the change began, as the configuration says it (`explain: closed:`). */
import type { Manifest, TableManifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { rowText } from '../../repository/tree/rows.ts'
import { TreeReader } from '../../repository/tree/tree-reader.ts'
import { textOfColumn } from '../certificate/audit-entries.ts'
import { momentMs } from '../certificate/months.ts'
import type { ClosedRule, ExplainRules } from '../certificate/rules.ts'

interface KeysOfRule {
  readonly rule: ClosedRule
  readonly keys: ReadonlySet<string>
}

export class ClosedKeys {
  readonly #rules: readonly KeysOfRule[]

  private constructor(rules: readonly KeysOfRule[]) {
    this.#rules = rules
  }

  /** @throws repository-damaged, object-missing, store-… */
  static async read(repository: Repository, manifest: Manifest, rules: ExplainRules): Promise<ClosedKeys> {
    const found: KeysOfRule[] = []
    for (const rule of rules.closed) found.push({ rule, keys: await closedKeys(repository, manifest, rule, rules) })
    return new ClosedKeys(found)
  }

  /** `unknown`: no rule says when a record of this table is closed, or the row names none. */
  stateOf(columns: readonly string[], line: Buffer): 'closed' | 'open' | 'unknown' {
    let state: 'open' | 'unknown' = 'unknown'
    for (const { rule, keys } of this.#rules) {
      const key = textOfColumn(columns, line, rule.key)
      if (key === null) continue
      if (keys.has(key)) return 'closed'
      state = 'open'
    }
    return state
  }
}

async function closedKeys(
  repository: Repository,
  manifest: Manifest,
  rule: ClosedRule,
  { utcOffsetMinutes }: ExplainRules,
): Promise<Set<string>> {
  const keys = new Set<string>()
  const beganMs = Date.parse(manifest.position.sourceTime)
  for (const table of manifest.tables.filter(({ name, partitionOf }) => [name, partitionOf].includes(rule.table))) {
    const columns = table.columns.map(({ name }) => name)
    const type = table.columns.find(({ name }) => name === rule.column)?.type ?? ''
    for await (const line of linesOf(repository, table)) {
      const said = textOfColumn(columns, line, rule.column)
      const key = textOfColumn(columns, line, rule.key)
      // A record whose time stands empty is open.
      if (said === null || key === null || (rule.equals === null && said === '')) continue
      const atMs = rule.equals === null ? momentMs(said, type.includes('with time zone'), utcOffsetMinutes) : null
      const isClosed = rule.equals !== null ? said === rule.equals : isPast(atMs, rule.graceHours, beganMs)
      if (isClosed) keys.add(key)
    }
  }
  return keys
}

/** A time that cannot be read as one closes the record: to call it open would hide a change of it. */
function isPast(atMs: number | null, graceHours: number, nowMs: number): boolean {
  return atMs === null || atMs + graceHours * 3_600_000 <= nowMs
}

async function* linesOf(repository: Repository, table: TableManifest): AsyncGenerator<Buffer> {
  const reader = new TreeReader(tableSpec(table), repository.chunkReader(), repository.keyring.secrets)
  for await (const rows of reader.leaves(table.rows)) {
    for (let row = 0; row < rows.count; row += 1) yield Buffer.from(rowText(rows, row).subarray(0, -1))
  }
}
