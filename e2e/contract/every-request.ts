// What holds for every request: the order of checks, headers, error bodies, flags, durations, paths.
import assert from 'node:assert/strict'
import { userWith } from './contract-place.ts'
import type { ContractCase } from './contract-place.ts'

const code = 'x-securesql-code'

export const everyRequest: readonly ContractCase[] = [
  {
    title: 'OPTIONS is answered 200 on any path, without credentials and whatever the parameters',
    run: async (place) => {
      for (const path of ['/db/execute', '/nowhere', '/db/query?timeout=nonsense']) {
        const answer = await place.ask(path, { method: 'OPTIONS', as: 'nobody' })
        assert.deepEqual([answer.status, answer.body], [200, ''], path)
      }
    },
  },
  {
    title:
      'parameters are checked before the path, the path before the permission, the permission before the method, the method before the body',
    run: async (place) => {
      assert.equal((await place.ask('/nowhere?timeout=5', { as: 'nobody' })).status, 400)
      assert.equal((await place.ask('/nowhere', { as: 'nobody' })).status, 404)
      assert.equal((await place.ask('/db/execute', { as: 'nobody' })).status, 401)
      const wrongMethod = await place.ask('/db/execute', { as: userWith('execute') })
      assert.deepEqual([wrongMethod.status, wrongMethod.headers.allow], [405, 'OPTIONS, POST'])
      assert.equal((await place.ask('/db/execute', { method: 'PUT', body: 'no JSON' })).status, 405)
      assert.equal((await place.post('/db/execute', 'no JSON')).status, 400)
    },
  },
  {
    title: "every answer has rqlite's headers, and the demand for credentials, also where nothing is wrong",
    run: async (place) => {
      for (const path of ['/readyz?noleader', '/nowhere', '/db/query?q=', '/db/query?q=SELECT+1', '/status']) {
        const { headers } = await place.ask(path)
        assert.match(String(headers['x-rqlite-version']), /^v?\d+\.\d+\.\d+$/)
        assert.equal(headers['access-control-allow-methods'], 'OPTIONS, GET, POST')
        assert.equal(headers['access-control-allow-headers'], 'Content-Type, Authorization')
        assert.equal(headers['access-control-allow-credentials'], 'true')
        assert.equal(headers['access-control-allow-origin'], undefined)
        assert.equal(headers['www-authenticate'], 'Basic realm="rqlite"')
        assert.equal(headers['x-content-type-options'], 'nosniff')
      }
    },
  },
  {
    title: '401, 404 and 405 have no body; 401 says both "who are you" and "not allowed"',
    run: async (place) => {
      for (const [status, answer] of [
        [401, await place.ask('/status', { as: 'nobody' })],
        [401, await place.ask('/status', { as: 'stranger' })],
        [401, await place.ask('/status', { as: userWith('query') })],
        [404, await place.ask('/nowhere')],
        [405, await place.ask('/status', { method: 'POST' })],
      ] as const) {
        assert.deepEqual([answer.status, answer.body], [status, ''])
      }
    },
  },
  {
    title: 'other refusals are one line of plain text and carry their code',
    run: async (place) => {
      const answer = await place.post('/db/execute', '[]')
      assert.deepEqual([answer.status, answer.body, answer.headers[code]], [400, 'no statements\n', 'no_statements'])
      assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
      assert.equal(answer.headers['x-content-type-options'], 'nosniff')
    },
  },
  {
    title: 'JSON answers are application/json, and tell who has served them',
    run: async (place) => {
      for (const answer of [
        await place.post('/db/execute', ['CREATE TABLE served (id INTEGER)']),
        await place.post('/db/query', ['SELECT * FROM served']),
        await place.post('/db/request', ['SELECT * FROM served']),
      ]) {
        assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
        assert.equal(answer.headers['x-rqlite-served-by'], await place.servedBy())
      }
      assert.equal((await place.ask('/db/query?level=none&q=SELECT+1')).headers['x-rqlite-served-by'], place.asked.address)
    },
  },
  {
    title: 'a flag counts by being there, whatever its value; names are case-sensitive; the first value wins; unknown ones are ignored',
    run: async (place) => {
      const pretty = await place.query('SELECT 1', '?pretty=false')
      assert.match(pretty, /^\{\n {4}"results"/)
      assert.doesNotMatch(await place.query('SELECT 1', '?Pretty'), /\n/)
      assert.equal(await place.values('SELECT 1', '?level=none&level=linearizable&whatever=1&bypass'), '[1]')
      assert.equal((await place.ask('/db/query?q=SELECT+1&q=nonsense')).status, 200)
      assert.equal((await place.ask('/db/query?timeout=100s&timeout=nonsense&q=SELECT+1')).status, 200)
    },
  },
  {
    title: "a parameter that cannot be read is refused on any path, in rqlite's words",
    run: async (place) => {
      const refused: readonly (readonly [parameters: string, text: string])[] = [
        ['freshness_strict', 'freshness_strict requires freshness'],
        ['timeout=x', 'timeout is not a valid duration'],
        ['freshness=5', 'freshness is not a valid duration'],
        ['db_timeout=1d', 'db_timeout is not a valid duration'],
        ['linearizable_timeout=', 'linearizable_timeout is not a valid duration'],
        ['retries=many', 'retries is not a valid integer'],
        ['trailing_logs=1.5', 'trailing_logs is not a valid integer'],
        ['q=', 'query parameter not set'],
      ]
      for (const [parameters, text] of refused) {
        for (const path of ['/db/query', '/status', '/nowhere']) {
          const answer = await place.ask(`${path}?${parameters}`)
          assert.deepEqual([answer.status, answer.body], [400, `${text}\n`], `${path}?${parameters}`)
        }
      }
    },
  },
  {
    title: "durations are Go's",
    run: async (place) => {
      for (const [text, status] of [
        ['90000ms', 200],
        ['100s', 200],
        ['1m30s', 200],
        ['1.5h', 200],
        ['5', 400],
        ['', 400],
        ['1 s', 400],
      ] as const) {
        assert.equal((await place.ask(`/db/query?timeout=${encodeURIComponent(text)}&q=SELECT+1`)).status, status, text)
      }
      assert.equal((await place.ask('/db/query?db_timeout=0&linearizable_timeout=0&freshness=0&q=SELECT+1')).status, 200)
    },
  },
  {
    title: 'paths are exact and case-sensitive, unlike in rqlite; one slash at the end makes no difference',
    run: async (place) => {
      assert.equal((await place.ask('/status/')).status, 200)
      for (const path of ['/statusX', '/Status', '/db/execute/x', '//status', '/db'])
        assert.equal((await place.ask(path)).status, 404, path)
    },
  },
  {
    title: 'a POST without a content type, or with any other than text/plain, is JSON',
    run: async (place) => {
      for (const type of [
        undefined,
        'application/json',
        'application/json; charset=utf-8',
        'application/x-www-form-urlencoded',
        'text/html',
      ]) {
        const answer = await place.post('/db/query', ['SELECT 1'], { headers: type === undefined ? {} : { 'Content-Type': type } })
        assert.equal(answer.body, '{"results":[{"columns":["1"],"types":["integer"],"values":[[1]]}]}', String(type))
      }
    },
  },
  {
    title: 'a body beyond the limit is refused with 413, unlike in rqlite',
    run: async (place) => {
      const answer = await place.post('/db/execute', JSON.stringify([`SELECT '${'x'.repeat(9 * 1024 * 1024)}'`]))
      assert.deepEqual([answer.status, answer.headers[code]], [413, 'body_too_large'])
    },
  },
  {
    title: 'what everyone may do is allowed with wrong credentials too',
    run: async (place) => {
      for (const as of ['nobody', 'stranger']) assert.equal((await place.ask('/readyz', { as })).status, 200)
    },
  },
]
