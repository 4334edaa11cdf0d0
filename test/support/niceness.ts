import { readdir, readFile } from 'node:fs/promises'

/** Of each thread of a process, on Linux (proc(5): the 19th field of `stat`). */
export async function nicenessOf(pid: number): Promise<number[]> {
  const tasks = `/proc/${pid}/task`
  const stats = await Promise.all((await readdir(tasks)).map((task) => readFile(`${tasks}/${task}/stat`, 'utf8')))
  return stats.map((stat) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]))
}
