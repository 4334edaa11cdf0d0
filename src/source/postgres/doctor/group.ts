/** A few topics that are looked at together, by one question or two. */
import type { HealthQuestion, HealthTopic, Observation } from '../../health-contract.ts'
import type { Session } from '../connect.ts'

export interface HealthGroup {
  readonly topics: readonly HealthTopic[]
  readonly look: (session: Session, question: Asked) => Promise<readonly Observation[]>
}

export interface Asked extends HealthQuestion {
  readonly publication: string
}

/** Whether the question is about the table. */
export function isAskedAbout(question: Pick<HealthQuestion, 'tables'>): (table: string) => boolean {
  const { tables } = question
  if (tables === null) return () => true
  const wanted = new Set(tables)
  return (table) => wanted.has(table)
}
