/** Whether the database itself, or somebody else's right, stands against what a repair left as it is. */
import type { LeftRow } from './judge.ts'
import { insertLines, rowId, type SeenRow } from './rows.ts'
import type { AccidentSite } from './site.ts'
import type { AccidentTable } from './world.ts'

/** Trials are statements: so many a round. */
const TRIALS_MAX = 80

export interface Trial {
  readonly site: AccidentSite
  readonly patient: string
}

/**
 * Tries to write what was left out, all of it, one by one and again as long as something succeeds, and rolls it back.
 * @returns what could have been written, and would be the patient's
 */
export async function withoutObstacle({ site, patient }: Trial, left: readonly LeftRow[]): Promise<SeenRow[]> {
  const { client } = site
  const free = left.filter(({ before }) => !before || before.owner === patient || before.owner === null)
  if (free.length === 0 || free.length > TRIALS_MAX) return []
  await client.query('BEGIN; SET CONSTRAINTS ALL DEFERRED')
  try {
    const written = await writeAll(site, free)
    if (!(await holds(site, () => client.query('SET CONSTRAINTS ALL IMMEDIATE')))) return []
    return await blamed({ site, patient }, written)
  } finally {
    await client.query('ROLLBACK')
  }
}

async function writeAll(site: AccidentSite, left: readonly LeftRow[]): Promise<SeenRow[]> {
  const written: SeenRow[] = []
  let pending = left
  for (let grew = true; grew; ) {
    const failed: LeftRow[] = []
    for (const one of pending) {
      if (await holds(site, () => writeBack(site, one))) written.push(one.row)
      else failed.push(one)
    }
    grew = failed.length < pending.length
    pending = failed
  }
  return written
}

/** Whether the database takes it. */
async function holds({ client }: AccidentSite, attempt: () => Promise<unknown>): Promise<boolean> {
  await client.query('SAVEPOINT trial')
  try {
    await attempt()
    await client.query('RELEASE trial')
    return true
  } catch {
    await client.query('ROLLBACK TO trial')
    return false
  }
}

async function writeBack({ client, columns }: AccidentSite, { row, before }: LeftRow): Promise<void> {
  const { table, line, key } = row
  if (!before) return await insertLines(client, table, columns, [line])
  const written = columns.get(table.name)!.filter((column) => !table.key.includes(column))
  const set = written.map((column) => `"${column}" = (r.line::${table.name})."${column}"`).join(', ')
  if (written.length === 0) return
  await client.query(`UPDATE ${table.name} t SET ${set} FROM (SELECT $1::text AS line) r WHERE ${keyIs(table, 2)}`, [
    line,
    ...key,
  ])
}

function keyIs({ key }: AccidentTable, from: number): string {
  return key.map((column, index) => `concat(t."${column}") = $${from + index}`).join(' AND ')
}

/** What is wholly the patient's, and hangs on nothing that was left out with reason: and so on down. */
async function blamed(trial: Trial, written: readonly SeenRow[]): Promise<SeenRow[]> {
  const looked = new Map<string, Surroundings & { readonly row: SeenRow }>()
  for (const row of written) looked.set(rowId(row.table, row.key), { row, ...(await surroundings(trial, row)) })
  const excused = new Set([...looked].filter(([, { isTheirs }]) => !isTheirs).map(([id]) => id))
  for (let grew = true; grew; ) {
    const more = [...looked].filter(([id, { parents }]) => !excused.has(id) && parents.some((one) => excused.has(one)))
    for (const [id] of more) excused.add(id)
    grew = more.length > 0
  }
  return [...looked].flatMap(([id, { row }]) => (excused.has(id) ? [] : [row]))
}

interface Surroundings {
  /** Itself, and everything that it refers to and that is somebody's. */
  readonly isTheirs: boolean
  /** Ids of what it refers to. */
  readonly parents: readonly string[]
}

async function surroundings({ site, patient }: Trial, { table, key, line }: SeenRow): Promise<Surroundings> {
  const { client, world } = site
  const where = table.key.length === 0 ? 't::text = $1' : keyIs(table, 1)
  const own = `SELECT (${table.owner})::text AS owner FROM ${table.name} t WHERE ${where}`
  const { rows } = await client.query(own, table.key.length === 0 ? [line] : [...key])
  const owners: (string | null)[] = rows.map(({ owner }) => owner)
  const parents: string[] = []
  for (const link of site.links.filter(({ child }) => child === table.name)) {
    const parent = world.tables.find(({ name }) => name === link.parent)
    // A patient refers to another one by a merge: neither is the other's.
    if (!parent || parent.owner === 'NULL' || (link.child === link.parent && parent.name === world.patients)) continue
    const on = link.columns.map(
      (column, index) => `t."${link.referenced[index]}" = (r.line::${table.name})."${column}"`,
    )
    const fields = parent.key.map((column) => `concat(t."${column}")`).join(', ')
    const found = await client.query(
      `SELECT (${parent.owner})::text AS owner, ARRAY[${fields}] AS key FROM ${parent.name} t, (SELECT $1::text AS line) r WHERE ${on.join(' AND ')}`,
      [line],
    )
    owners.push(...found.rows.map(({ owner }) => owner))
    parents.push(...found.rows.map((row) => rowId(parent, row.key)))
  }
  return { isTheirs: owners.every((owner) => owner === patient), parents }
}
