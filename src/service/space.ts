/** Free bytes where a directory store lies; null of a store that does not tell. */
import { statfs } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export async function freeBytesOf(storeUrl: string): Promise<number | null> {
  if (!storeUrl.startsWith('file:')) return null
  const { bavail, bsize } = await statfs(fileURLToPath(storeUrl))
  return bavail * bsize
}
