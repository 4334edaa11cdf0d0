/**
 * Builds src/repository/kernel/kernel.wasm from the AssemblyScript beside it. The same source gives the same bytes: the
 * compiler is locked, and a test builds again and compares.
 *
 *   node launch.mjs scripts/build-kernel.ts
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
export const KERNEL_FILE = fileURLToPath(new URL('../src/repository/kernel/kernel.wasm', import.meta.url))
const ENTRY = 'src/repository/kernel/assembly/index.ts'

/** No run-time library and no managed memory: Node lays memory out, the kernel only works on it. */
const OPTIONS = [
  ENTRY,
  '--baseDir',
  ROOT,
  '--outFile',
  'kernel.wasm',
  '--runtime',
  'stub',
  '--enable',
  'simd',
  '--optimizeLevel',
  '3',
  '--shrinkLevel',
  '0',
  '--converge',
  '--noAssert',
  '--noColors',
]

/** @throws what the compiler has to say */
export async function buildKernel(): Promise<Uint8Array> {
  let built: Uint8Array | null = null
  const { error, stderr } = await asc.main(OPTIONS, {
    readFile: async (name, baseDir) => await readFile(`${baseDir}/${name}`, 'utf8').catch(() => null),
    writeFile: (_name, contents) => {
      built = typeof contents === 'string' ? Buffer.from(contents) : contents
    },
    listFiles: () => [],
  })
  if (error || built === null) throw new Error(`the kernel does not compile: ${error?.message}\n${stderr.toString()}`)
  return built
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const bytes = await buildKernel()
  await writeFile(KERNEL_FILE, bytes)
  process.stdout.write(`kernel.wasm  ${bytes.length} bytes\n`)
}
