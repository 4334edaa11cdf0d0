/**
 * Whether a container engine answers: asked once for a run, before the tests. Suites that need one run under
 * `describe.runIf(inject('containerEngine') !== null)`; where none answers, one line says so for all of them.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** What the engine calls itself, or null. */
    containerEngine: string | null
  }
}

/** Vitest calls it before the tests (vitest.config.ts). */
export default async function setup(project: TestProject): Promise<void> {
  const engine = await findContainerEngine()
  project.provide('containerEngine', engine)
  const line = engine === null ? 'none answers; suites on testcontainers are skipped' : engine
  process.stdout.write(`container engine: ${line}\n`)
}

async function findContainerEngine(): Promise<string | null> {
  // Loading the client takes two seconds: not where it would look in vain.
  if (!mayHaveEngine()) return null
  const { getContainerRuntimeClient } = await import('testcontainers')
  try {
    const { info } = await getContainerRuntimeClient()
    return `${info.containerRuntime.operatingSystem}, ${info.containerRuntime.serverVersion}`
  } catch {
    return null
  }
}

/** The places where testcontainers looks for one. */
function mayHaveEngine(): boolean {
  if (process.env.DOCKER_HOST || process.platform === 'win32') return true
  const runtime = process.env.XDG_RUNTIME_DIR ?? join('/run/user', String(process.getuid?.()))
  return [
    '/var/run/docker.sock',
    join(runtime, 'docker.sock'),
    join(homedir(), '.docker', 'run', 'docker.sock'),
    join(homedir(), '.docker', 'desktop', 'docker.sock'),
    join(homedir(), '.testcontainers.properties'),
  ].some((path) => existsSync(path))
}
