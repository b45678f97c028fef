// A reporter for node:test in the columns tests/run reads: layer, outcome, milliseconds, name, reason.
// A test that holds others is counted only when it fails itself; a suite never.
import { relative } from 'node:path'

const plain = (text) => String(text ?? '').replace(/\s+/g, ' ').trim()

function outcome(type, data) {
  if (data.skip !== undefined || data.todo !== undefined) {
    const reason = typeof data.skip === 'string' ? data.skip : typeof data.todo === 'string' ? data.todo : ''
    return ['skipped', reason || 'no reason given']
  }
  if (type === 'test:pass') return ['ok', '']
  const error = data.details?.error
  return ['failed', plain(error?.cause?.message ?? error?.message ?? error).slice(0, 500)]
}

export default async function* report(events) {
  const parents = new Set()
  const started = new Map() // file -> names open by depth
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      const open = started.get(data.file) ?? []
      open.length = data.nesting
      if (data.nesting > 0 && open[data.nesting - 1]) parents.add(open[data.nesting - 1])
      open[data.nesting] = `${data.file}:${data.line}:${data.column}:${data.nesting}:${data.name}`
      started.set(data.file, open)
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite') continue
    const id = `${data.file}:${data.line}:${data.column}:${data.nesting}:${data.name}`
    const failedBelow = data.details?.error?.failureType === 'subtestsFailed'
    if (parents.has(id) && (type === 'test:pass' || failedBelow)) continue
    const file = data.file ? relative(process.cwd(), data.file) : ''
    let [result, reason] = outcome(type, data)
    // node:test calls a file by its own name when nothing in it ran: chosen by name (T) that is no news, else a lie.
    if (result === 'ok' && data.nesting === 0 && (data.name === file || data.name === data.file)) {
      if (process.env.T) continue
      ;[result, reason] = ['failed', 'the file holds no test']
    }
    const ms = Math.round(data.details?.duration_ms ?? 0)
    yield ['system', result, ms, plain(`${file}: ${data.name}`), plain(reason)].join('\t') + '\n'
  }
}
