/**
 * Old versions, for the corner in which a probe tries things: in a bucket that keeps versions, what is only deleted would
 * stay there for good. Nothing of the repository itself is ever removed like this.
 */
import { failureOfAnswer } from './s3-failure.ts'
import type { S3Answer, S3Wire } from './s3-wire.ts'

export async function removeVersion(wire: S3Wire, objectName: string, versionId: string): Promise<S3Answer> {
  return await wire.request({ method: 'DELETE', objectName, query: { versionId } })
}

/**
 * Removes every version of every object below a prefix. One page holds all that a probe makes.
 * @throws store-refused when this access key may not list versions
 */
export async function clearVersions(wire: S3Wire, prefix: string): Promise<void> {
  const answer = await wire.request({ method: 'GET', query: { versions: '', prefix } })
  if (answer.status !== 200) throw failureOfAnswer(answer, 'list versions', wire.address.url)
  const xml = Buffer.from(answer.body).toString('utf8')
  for (const [entry] of xml.matchAll(/<(Version|DeleteMarker)>[\s\S]*?<\/\1>/g)) {
    const objectName = /<Key>([^<]*)<\/Key>/.exec(entry)?.[1] ?? ''
    const versionId = /<VersionId>([^<]*)<\/VersionId>/.exec(entry)?.[1] ?? ''
    // Only what lies in the corner, whatever the store has listed.
    if (objectName.startsWith(prefix)) await removeVersion(wire, objectName, versionId)
  }
}
