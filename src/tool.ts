/** What wrote a snapshot: stands in every manifest. */
import packageJson from '../package.json' with { type: 'json' }

export const tool = { name: 'chartkeep', version: packageJson.version, node: process.version }
