// A tiny program in the place of a container's, for the tests of the process kubelet: serves HTTPS on the address it is given, answers `/readyz` with 200 once the file
// `ready` lies in its data folder, and tells what it was started with. `node stand-in/main.ts -http-addr=HOST:PORT -http-cert=FILE -http-key=FILE DATA_DIR`
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'

const args = process.argv.slice(2)
const flag = (name: string): string => args.find((arg) => arg.startsWith(`-${name}=`))?.slice(name.length + 2) ?? ''
const folder = args.at(-1) ?? ''
const [host = '', port = ''] = flag('http-addr').split(':')

appendFileSync(join(folder, 'starts'), 'started\n')
const server = createServer({ cert: readFileSync(flag('http-cert')), key: readFileSync(flag('http-key')) }, (request, response) => {
  if (request.url?.startsWith('/readyz') === true) response.writeHead(existsSync(join(folder, 'ready')) ? 200 : 503).end()
  else response.end(JSON.stringify({ args, name: process.env['POD_NAME'], peers: process.env['PEERS'], tmp: process.env['TMPDIR'] }))
})
server.listen(Number(port), host)
if (!existsSync(join(folder, 'stubborn'))) process.on('SIGTERM', () => process.exit(0))
else process.on('SIGTERM', () => {})
