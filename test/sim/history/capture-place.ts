/** Capture as histories run it: everything that takes seconds at a hospital takes milliseconds here. */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { capture } from '../../../src/backup/capture/capture.ts'
import type { CaptureEvent } from '../../../src/backup/capture/events.ts'
import { CAPTURE_DEFAULTS } from '../../../src/backup/capture/settings.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import { openSource } from '../../../src/source/open.ts'
import { worldLayout } from './world.ts'

/** Serialisable: it goes to another process. */
export interface CapturePlace {
  readonly url: string
  /** One repository serves many histories, each as a source of its own. */
  readonly sourceName: string
  readonly sealMs: number
  readonly segmentTextBytes: number
}

export async function captureAt(
  repository: Repository,
  { url, sourceName, sealMs, segmentTextBytes }: CapturePlace,
  signal: AbortSignal,
  onEvent: (event: CaptureEvent) => void,
): Promise<void> {
  await capture({
    repository,
    sourceName,
    openSource: () => openSource({ url }),
    layout: worldLayout,
    settings: {
      ...CAPTURE_DEFAULTS,
      sealMs,
      segmentTextBytes,
      progressMs: 300,
      heartbeatMs: 1000,
      // After a kill, the next one waits so long.
      leaseMs: 3000,
      pauseMinMs: 20,
      pauseMaxMs: 200,
    },
    spillDirectory: tmpdir(),
    nowMs: () => Date.now(),
    sleep: async (ms, aborted) => {
      await setTimeout(ms, undefined, { signal: aborted })
    },
    random: randomBytes,
    holder: 'history',
    onEvent,
    signal,
  })
}
