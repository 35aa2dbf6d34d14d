// `npm run crds` writes the CRD to its two places; `npm run crds -- --check` exits with 1 when a place is stale. Helm reads nothing outside of its chart's
// folder, hence the second copy.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { crdName, customResourceDefinitionYaml } from './crd.ts'

const root = join(import.meta.dirname, '..', '..')
const places = [join('crds', `${crdName}.yaml`), join('helm', 'securesql', 'files', `${crdName}.yaml`)]
const text = customResourceDefinitionYaml()
const stale = places.filter((place) => !existsSync(join(root, place)) || readFileSync(join(root, place), 'utf8') !== text)

if (process.argv.includes('--check')) {
  for (const place of stale) console.error(`${place} is not up to date: run \`npm run crds\``)
  process.exitCode = stale.length > 0 ? 1 : 0
} else {
  for (const place of stale) {
    mkdirSync(dirname(join(root, place)), { recursive: true })
    writeFileSync(join(root, place), text)
    console.log(`wrote ${place}`)
  }
  if (stale.length === 0) console.log('up to date')
}
