// The log of a long-running program of ours: JSON lines by pino. Data first, constant message. What must never be written (credentials, keys, SQL text,
// bound values) is censored by the *name* of its field at any depth: pino's own redaction works by path, and a path that nobody thought of lets a secret through.
import pino from 'pino'

export type Logger = pino.Logger

/** Names of fields (in lower case) whose values never reach the log. The code should not log them at all; this is the second lock. */
export const censoredFields: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'password',
  'passwords',
  'passphrase',
  'passwordhash',
  'secret',
  'token',
  'credentials',
  'privatekey',
  'private_key',
  'pfx',
  'sql',
  'statement',
  'statements',
  'parameters',
  'params',
  'values',
  'rows',
  'body',
  'payload',
  'query',
  'search',
])

const censor = '[redacted]'
// Deeper than anything that we log on purpose; below it things are dropped, not written unseen.
const depthMax = 6

export function censored(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Error || value instanceof Date) return value
  if (depth >= depthMax || ArrayBuffer.isView(value)) return censor
  if (Array.isArray(value)) return value.map((item) => censored(item, depth + 1))
  const copy: Record<string, unknown> = Object.create(null)
  for (const [name, field] of Object.entries(value)) {
    copy[name] = censoredFields.has(name.toLowerCase()) ? censor : name === 'err' ? serializeError(field) : censored(field, depth + 1)
  }
  return copy
}

// Errors of libraries carry what they were given as properties (SQL text, requests): only what says what happened is kept.
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return censored(error, 1)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: serializeError(error.cause) }),
  }
}

/** `destination`: where lines go, standard output when absent. Child loggers inherit the censoring, their bindings too. */
export function makeLogger(options: { readonly level: pino.LevelWithSilent; readonly destination?: pino.DestinationStream }): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label) => ({ level: label }),
      log: asRecord,
    },
    serializers: { err: (error: unknown) => error },
  }
  const logger = options.destination === undefined ? pino(settings) : pino(settings, options.destination)
  // pino drops the formatter of bindings in children, so they are censored on their way in. Children inherit this method from their parent.
  // oxlint-disable-next-line typescript/unbound-method -- called below with the logger that it is asked of
  const { child } = logger
  const censoredChild = function (this: Logger, bindings: pino.Bindings, childOptions?: pino.ChildLoggerOptions): Logger {
    return Reflect.apply(child, this, [asRecord(bindings), childOptions])
  }
  Object.defineProperty(logger, 'child', { value: censoredChild })
  return logger
}

function asRecord(fields: object): Record<string, unknown> {
  const clean = censored(fields)
  return typeof clean === 'object' && clean !== null ? { ...clean } : {}
}
