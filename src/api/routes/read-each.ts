import { isDamage } from '../../repository/damage.ts'

/** What can be read of a list, and the names of what is damaged. @throws what is no damage */
export async function readEach<Item>(
  names: readonly string[],
  read: (name: string) => Promise<Item>,
): Promise<{ readonly read: Item[]; readonly damaged: string[] }> {
  const found: Item[] = []
  const damaged: string[] = []
  for (const name of names) {
    try {
      found.push(await read(name))
    } catch (error) {
      if (!isDamage(error)) throw error
      damaged.push(name)
    }
  }
  return { read: found, damaged }
}
