// The probe to compare with: node:https that reads a body and answers a few bytes. Nothing of ours is in it. It tells its port by message.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'

const reply = Buffer.from('{"results":[{"last_insert_id":1,"rows_affected":1}]}')

process.once('message', ({ certificate, key }: { readonly certificate: string; readonly key: string }) => {
  const server = createServer({ cert: certificate, key }, (request, response) => {
    request.on('data', () => undefined)
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': reply.length })
      response.end(reply)
    })
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
})
process.once('disconnect', () => process.exit(0))
