// What an API server's refusal means to us. Codes are from the Status object's HTTP code and, for 409, from its reason
// (kubernetes API conventions, "Response Status Kind").
import { isJsonObject, numberAt, textAt } from './json-object.ts'
import type { KubeProblem } from './kube.ts'

/** A message is for a log line and a condition; validation messages of the API server can be very long. */
const messageLengthMax = 1_000

/** `body` is the parsed answer: a Status where the API server itself spoke. */
export function problemOf(httpStatus: number, body: unknown): KubeProblem {
  const status = isJsonObject(body) && body['kind'] === 'Status' ? body : {}
  const message = (textAt(status, 'message') ?? `the API server answered ${httpStatus}`).slice(0, messageLengthMax)
  return { code: codeOf(httpStatus, textAt(status, 'reason')), message }
}

/** The Status inside an ERROR event of a watch. */
export function watchProblem(status: unknown): KubeProblem {
  return problemOf(numberAt(status, 'code') ?? 500, status)
}

export function unreachable(message: string): KubeProblem {
  return { code: 'unreachable', message: message.slice(0, messageLengthMax) }
}

function codeOf(httpStatus: number, reason: string | undefined): KubeProblem['code'] {
  switch (httpStatus) {
    case 401:
      return 'unauthorized'
    case 403:
      return 'forbidden'
    case 404:
      return 'not_found'
    case 409:
      return reason === 'AlreadyExists' ? 'already_exists' : 'conflict'
    case 410:
      return 'gone'
    case 429:
      return 'too_many_requests'
    default:
      // Any other 4xx says that the request itself is wrong (400, 413, 415, 422); everything else that the server is not well.
      return httpStatus >= 400 && httpStatus < 500 ? 'invalid' : 'unreachable'
  }
}
