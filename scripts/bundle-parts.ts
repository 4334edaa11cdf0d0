/** What a bundle is put together from: compiled JavaScript, the packages it needs, and sums over all of it. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const COMPILER = 'node_modules/typescript/bin/tsc'
/** Beside the source, read at run time. */
const ASSETS = /\.(wasm|mjs|json|html|css|svg|ttf|otf)$/
const CODE = ['src', 'workers']

interface LockedPackage {
  readonly version?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly devOptional?: boolean
  readonly license?: string
}

export interface NamedPackage {
  readonly path: string
  readonly version: string
  readonly license: string
}

/** `src/` and `workers/` as JavaScript that any Node 24 runs, also below `node_modules`, with what they read beside them. */
export function compile(root: string, app: string): void {
  const settings = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      rewriteRelativeImportExtensions: true,
      allowImportingTsExtensions: false,
      outDir: app,
      rootDir: root,
    },
    include: CODE.map((folder) => join(root, folder)),
    exclude: [join(root, 'src/repository/kernel/assembly')],
  }
  const file = join(root, 'node_modules', '.cache', 'tsconfig.bundle.json')
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(
    file,
    JSON.stringify({
      ...settings,
      compilerOptions: { ...settings.compilerOptions, typeRoots: [join(root, 'node_modules/@types')] },
    }),
  )
  execFileSync(process.execPath, [join(root, COMPILER), '--project', file], { stdio: ['ignore', 2, 2], cwd: root })
  for (const path of filesBelow(app).filter((each) => each.endsWith('.js'))) nameCompiled(path)
  for (const folder of CODE) copyAssets(root, folder, app)
  cpSync(join(root, 'package.json'), join(app, 'package.json'))
}

/** Threads are named by their files' addresses, which a compiler does not know as imports. */
function nameCompiled(path: string): void {
  const text = readFileSync(path, 'utf8')
  const named = text.replaceAll(/(new URL\('[^']+)\.ts(', import\.meta\.url\))/g, '$1.js$2')
  if (named !== text) writeFileSync(path, named)
}

function copyAssets(root: string, folder: string, app: string): void {
  for (const path of filesBelow(join(root, folder))) {
    const name = relative(root, path)
    if (!ASSETS.test(name) || name.startsWith('src/repository/kernel/assembly')) continue
    mkdirSync(dirname(join(app, name)), { recursive: true })
    cpSync(path, join(app, name))
  }
}

/** Packages that run: no tools of ours, and nothing that is there for one platform or another only. */
export function copyPackages(root: string, app: string): NamedPackage[] {
  const lock: { packages: Record<string, LockedPackage> } = JSON.parse(
    readFileSync(join(root, 'package-lock.json'), 'utf8'),
  )
  const wanted = Object.entries(lock.packages).filter(
    ([path, { dev, optional, devOptional }]) => path !== '' && !dev && !optional && !devOptional,
  )
  for (const [path] of wanted) {
    const nested = join(root, path, 'node_modules')
    // What lies below has an entry of its own.
    cpSync(join(root, path), join(app, path), { recursive: true, filter: (source) => !source.startsWith(nested) })
  }
  return wanted.map(([path, { version, license }]) => ({
    path,
    version: version ?? '',
    license: license ?? licenseOf(join(root, path)),
  }))
}

function licenseOf(path: string): string {
  const { license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
  return typeof license === 'string' ? license : 'see the package'
}

/** In order, so that the same files give the same list. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

/** As `sha256sum -c SHA256SUMS` reads it. */
export function writeSums(folder: string): void {
  const lines = filesBelow(folder).map((path) => {
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex')
    return `${digest}  ${relative(folder, path)}\n`
  })
  writeFileSync(join(folder, 'SHA256SUMS'), lines.join(''))
}

/** The same bytes from the same files: names in order, no clock, nobody's name. */
export function packArchive(parent: string, name: string, archive: string): void {
  const plain = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--mode=go-w']
  execFileSync('tar', [...plain, '--use-compress-program=gzip -n -6', '-cf', archive, '-C', parent, name], {
    stdio: ['ignore', 2, 2],
  })
}
