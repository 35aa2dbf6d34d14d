// `node tidy/write-licenses.ts`: brings node/api/third-party-licenses.txt up to date with what is installed.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { thirdPartyLicenses } from './third-party-licenses.ts'

const root = join(import.meta.dirname, '..')
writeFileSync(join(root, 'node', 'api', 'third-party-licenses.txt'), thirdPartyLicenses(root))
