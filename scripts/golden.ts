/**
 * `bun run golden [--dir FOLDER] [--area A] [--json]`: runs the vectors made with Kafka Streams, and reports per area.
 *
 * Invariant: exit code 1 on any failure; what is not supported is counted apart, with the reason.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runAll } from './golden/report.ts'

const { values } = parseArgs({
  options: { dir: { type: 'string' }, area: { type: 'string' }, json: { type: 'boolean' } },
})
const folder = values.dir ?? join(import.meta.dir, '../topology/golden')
const report = await runAll(folder, values.area)
const areas = Object.entries(report)
if (areas.length === 0) {
  console.error(
    `no scenarios in ${folder}${values.area === undefined ? '' : ` of area ${values.area}`}`,
  )
  process.exit(2)
}
if (values.json === true) console.log(JSON.stringify(report, null, 2))
else {
  const total = { run: 0, passed: 0, failed: 0, unsupported: 0 }
  for (const [area, { run, passed, failed, unsupported }] of areas) {
    const counts = `${passed}/${run} passed, ${failed.length} failed, ${unsupported.length} unsupported`
    console.log(`${area.padEnd(24)} ${counts}`)
    for (const { name, part, difference } of failed)
      console.log(`  ${name}: ${part}: ${difference}`)
    total.run += run
    total.passed += passed
    total.failed += failed.length
    total.unsupported += unsupported.length
  }
  const { run, passed, failed, unsupported } = total
  console.log(
    `${'all'.padEnd(24)} ${passed}/${run} passed, ${failed} failed, ${unsupported} unsupported`,
  )
}
process.exit(areas.some(([, { failed }]) => failed.length > 0) ? 1 : 0)
