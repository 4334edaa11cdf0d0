import { Failure } from '../../errors.ts'

/**
 * What was to be applied to a tree does not belong to it: no tree of it may come into being.
 * @param what completes "it …"; names no key and no value
 */
export function doesNotFit(tree: string, what: string): Failure {
  return new Failure('change-log-gap', `the change log does not fit the rows of ${tree}: it ${what}`, {
    context: { tree },
    hints: ['Run `chartkeep backup`: what the change log cannot tell, it reads from the database.'],
  })
}
