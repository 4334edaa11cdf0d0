import { Failure } from '../../errors.ts'
import type { SchemaDdl } from '../contract.ts'
import type { Session } from './connect.ts'

export async function writeSchemaDdl(_session: Session): Promise<SchemaDdl> {
  throw new Failure('unsupported-server', 'no pg_dump that fits this server was found')
}
