import type { Source } from '../../src/source/contract.ts'

/**
 * As if the disk gave `table` other rows than were ever written to it: those of a table beside it. Names as in manifests.
 */
export function withOtherRows(source: Source, table: string, other: string): Source {
  return {
    capabilities: source.capabilities,
    profile: source.profile,
    changes: source.changes,
    identify: () => source.identify(),
    introspect: () => source.introspect(),
    openRead: async (options) => {
      const read = await source.openRead({ ...options, tables: [...options.tables, other] })
      const rotten = read.tableTickets.find(({ name }) => name === other)!
      return {
        identity: read.identity,
        position: read.position,
        ticket: read.ticket,
        schema: read.schema,
        visibleTables: read.visibleTables,
        tableTickets: read.tableTickets.map((ticket) => (ticket.name === table ? { ...rotten, name: table } : ticket)),
        yielded: read.yielded,
        readDdl: () => read.readDdl(),
        [Symbol.asyncDispose]: () => read[Symbol.asyncDispose](),
      }
    },
    [Symbol.asyncDispose]: async () => {},
  }
}
