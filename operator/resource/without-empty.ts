// The API server drops empty lists and maps of its own kinds on the way in (`omitempty`). What we want must be said without them, or it differs from what is
// stored for ever, and is written again and again.

/** `fields` without those that hold an empty list or map. Only for optional fields. */
export function withoutEmpty<Fields extends object>(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value))) as Fields // the same fields, but for optional ones
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}
