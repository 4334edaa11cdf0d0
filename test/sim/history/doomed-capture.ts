/**
 * Capture in a process of its own, so that it can be killed with SIGKILL at any moment.
 *
 *     node doomed-capture.ts '{"repositoryUrl":"file://…", …}'      the plan as JSON (CapturePlace)
 *
 * Prints each event as a line of JSON, and ends well on SIGTERM.
 */
import { openRepository } from '../../../src/repository/repository-lifecycle.ts'
import { openStore } from '../../../src/repository/store/open.ts'
import { TEST_SECRET } from '../../support/repository.ts'
import { type CapturePlace, captureAt } from './capture-place.ts'

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort(new Error('stopped by SIGTERM')))

const place: CapturePlace & { readonly repositoryUrl: string } = JSON.parse(process.argv[2] ?? '')
const settings = { url: place.repositoryUrl }
await using repository = await openRepository(await openStore(settings), settings, TEST_SECRET)
await captureAt(repository, place, stop.signal, (event) => process.stdout.write(`${JSON.stringify(event)}\n`))
