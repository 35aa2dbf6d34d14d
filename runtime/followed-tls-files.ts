// Certificate files as a program follows them: read once or refused, then watched, with a log line for each change and a gauge for the expiry.
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { ok } from './result.ts'
import type { Result } from './result.ts'
import { loadTlsFiles, WatchedTlsFiles, type TlsFilePaths, type TlsFilesProblem } from './tls-files.ts'

const pollMs = 1_000

/** `part` names the port that they are for, in the log and in the gauge's name. */
export function followTlsFiles(options: {
  readonly part: 'api' | 'node'
  readonly paths: TlsFilePaths
  readonly every: (intervalMs: number, callback: () => void) => () => void
  readonly logger: Logger
  readonly metrics: Metrics
}): Result<WatchedTlsFiles, TlsFilesProblem> {
  const { part, paths } = options
  const loaded = loadTlsFiles(paths)
  if (!loaded.ok) return loaded
  const logger = options.logger.child({ part })
  const files = new WatchedTlsFiles({
    paths,
    initial: loaded.value,
    every: (callback) => options.every(pollMs, callback),
    onProblem: (problem) =>
      logger.error({ code: problem.code, path: problem.path }, 'certificates cannot be used, the last good ones stay'),
  })
  files.onChange((material) => logger.info({ subject: material.leaf.subject, expires: material.leaf.validTo }, 'certificates changed'))
  options.metrics.gauge({
    name: `securesql_${part}_certificate_expiry_timestamp_seconds`,
    help: 'When the certificate in force expires, in seconds since the epoch.',
    read: () => Date.parse(files.current.leaf.validTo) / 1000,
  })
  return ok(files)
}
