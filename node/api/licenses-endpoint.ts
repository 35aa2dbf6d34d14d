// GET /licenses: ours, and those of everything that an image holds besides (`node tidy/write-licenses.ts` collects them; a test keeps them in step with what is installed).
import { readFile } from 'node:fs/promises'
import type { Endpoint } from './endpoint.ts'
import { textReply } from './exchange.ts'

const files = [new URL('../../LICENSE', import.meta.url), new URL('third-party-licenses.txt', import.meta.url)]

export const licensesEndpoint: Endpoint = {
  path: '/licenses',
  methods: ['GET'],
  permissions: ['status'],
  forwardable: false,
  alwaysServed: false,
  handle: async () => {
    const [ours = '', theirs = ''] = await Promise.all(files.map((file) => readFile(file, 'utf8')))
    return textReply(200, `SecureSQL\n\n${ours.trim()}\n\n${'='.repeat(80)}\n${theirs}`)
  },
}
