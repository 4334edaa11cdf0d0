/**
 * One archive for a hospital without internet: Node, compiled JavaScript, packages, units, examples, sums.
 *
 *     npm run bundle                            chartkeep-VERSION-linux-x64.tar.gz, and its SHA-256 beside it
 *     npm run bundle -- --out DIRECTORY --version 0.1.1
 *
 * Made from this checkout and its `node_modules`, without a network. For the platform it is made on.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compile, copyPackages, type NamedPackage, packArchive, writeSums } from './bundle-parts.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const PLATFORM = `${process.platform}-${process.arch}`

const { values } = parseArgs({
  options: { out: { type: 'string', default: 'dist' }, version: { type: 'string' } },
})

const version = values.version ?? JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version
const name = `chartkeep-${version}-${PLATFORM}`
const scratch = mkdtempSync(join(tmpdir(), 'chartkeep-bundle-'))
try {
  const folder = join(scratch, name)
  fill(folder)
  const out = resolve(values.out)
  mkdirSync(out, { recursive: true })
  const archive = join(out, `${name}.tar.gz`)
  packArchive(scratch, name, archive)
  const digest = createHash('sha256').update(readFileSync(archive)).digest('hex')
  writeFileSync(`${archive}.sha256`, `${digest}  ${basename(archive)}\n`)
  process.stdout.write(`${archive}\n${digest}  ${(statSync(archive).size / 2 ** 20).toFixed(1)} MiB\n`)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

function fill(folder: string): void {
  const app = join(folder, 'app')
  mkdirSync(app, { recursive: true })
  compile(ROOT, app)
  const packages = copyPackages(ROOT, app)
  nameVersion(join(app, 'package.json'))
  mkdirSync(join(folder, 'node', 'bin'), { recursive: true })
  cpSync(process.execPath, join(folder, 'node', 'bin', 'node'))
  cpSync(join(ROOT, 'packaging'), folder, { recursive: true })
  for (const file of ['LICENSE', 'chartkeep-rescue.mjs', 'docs', 'README.md', 'README.zh-CN.md']) {
    cpSync(join(ROOT, file), join(folder, file), { recursive: true })
  }
  const verifier = join(ROOT, 'src/verify/certificate/verify/verify.mjs')
  if (existsSync(verifier)) cpSync(verifier, join(folder, 'verify.mjs'))
  writeFileSync(join(folder, 'VERSION'), `${version}\n`)
  writeFileSync(join(folder, 'PACKAGES'), packageList(packages))
  for (const script of ['bin/chartkeep', 'install.sh']) chmodSync(join(folder, script), 0o755)
  writeSums(folder)
}

function nameVersion(file: string): void {
  const { name: product, type, license } = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, `${JSON.stringify({ name: product, version, type, license, private: true }, null, 2)}\n`)
}

function packageList(packages: readonly NamedPackage[]): string {
  const lines = packages.map(
    ({ path, version: which, license }) => `${path.replace('node_modules/', '')} ${which}  ${license}\n`,
  )
  return [`node ${process.versions.node}  MIT\n`, ...lines].join('')
}
