/**
 * Runs a script of this checkout on Node 24, whatever Node the machine has.
 *
 * `node launch.mjs FILE [arguments]`: installs the locked packages when `node_modules` is absent or was made from
 * another lock file, finds the Node 24 among them, and runs FILE on it. Plain JavaScript, because the machine's own
 * Node (20 or later) reads this file. Everything it prints goes to stderr: stdout belongs to the script.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR = 24
const INSTALL_LOCK_STALE_MS = 15 * 60 * 1000
const root = dirname(fileURLToPath(import.meta.url))
const stampFile = join(root, 'node_modules', '.chartkeep-installed')
const lockDir = join(root, '.installing')

const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')

function isInstalled() {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8').trim() === wanted
}

/** One installation at a time in a checkout: a second command waits for the first. */
function withInstallLock(work) {
  for (;;) {
    try {
      mkdirSync(lockDir)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      let ageMs = 0
      try {
        ageMs = Date.now() - statSync(lockDir).mtimeMs
      } catch {
        continue
      }
      if (ageMs > INSTALL_LOCK_STALE_MS) rmSync(lockDir, { recursive: true, force: true })
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
    }
  }
  try {
    work()
  } finally {
    rmSync(lockDir, { recursive: true, force: true })
  }
}

function install() {
  if (isInstalled()) return
  process.stderr.write('chartkeep: installing the locked packages (once for each package-lock.json) …\n')
  const npmScript = process.env.npm_execpath
  const command = npmScript?.endsWith('.js') ? [process.execPath, npmScript] : ['npm']
  const result = spawnSync(command[0], [...command.slice(1), 'ci', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (result.status !== 0) {
    throw new Error('npm ci failed; the lines above say why')
  }
  writeFileSync(stampFile, `${wanted}\n`)
}

function findNode() {
  if (Number(process.versions.node.split('.')[0]) === NODE_MAJOR) return process.execPath
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  for (const prefix of ['node', 'node-bin']) {
    const found = join(root, 'node_modules', `${prefix}-${process.platform}-${process.arch}`, 'bin', file)
    if (existsSync(found)) return found
  }
  process.stderr.write(
    `chartkeep: needs Node ${NODE_MAJOR}, and the npm registry has none for ${process.platform}-${process.arch}; ` +
      `install Node ${NODE_MAJOR} and run this again\n`,
  )
  process.exit(1)
}

try {
  if (!isInstalled()) withInstallLock(install)
} catch (error) {
  process.stderr.write(`chartkeep: ${error.message}\n`)
  process.exit(1)
}

const child = spawn(findNode(), ['--disable-warning=ExperimentalWarning', ...process.argv.slice(2)], {
  stdio: 'inherit',
  // Stripped and compiled modules are kept: a third of a short command's time. Where it cannot be written, nothing is.
  env: { NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'node-compile'), ...process.env },
})
// The terminal sends Ctrl-C to the child as well; it decides how to end, and we end with it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (signal !== 'SIGINT') child.kill(signal)
  })
}
child.on('error', (error) => {
  process.stderr.write(`chartkeep: cannot start Node: ${error.message}\n`)
  process.exit(1)
})
child.on('exit', (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  } else process.exit(code ?? 1)
})
