/**
 * One short line that says how campus is doing.
 *
 * Invariant: asks only what is cheap to answer.
 */
import { minuteTotals } from './analytics.ts'
import type { Campus } from './campus.ts'

export async function statusLine({ applications, ingress, views }: Campus): Promise<string> {
  const lags = await Promise.all(applications.ids.map((id) => applications.lag(id)))
  const lag = lags.reduce((sum, one) => sum + one, 0)
  const { reserved, failed } = views
  const open = await openWindows(applications)
  const orders = ingress.accepted()
  const decided = `orders ${orders} · reserved ${reserved} · failed ${failed}`
  return `${decided} · lag ${lag} · open windows ${open}${shares(applications)}`
}

/** What this process runs of each application, where others run the rest: ` · inventory 4/8, 2 standbys`. */
function shares(applications: Campus['applications']): string {
  const list = applications.ids.map((id) => ({ id, ...applications.share(id) }))
  if (list.every(({ tasks, tasksOfAll }) => tasks.length === tasksOfAll)) return ''
  const texts = list.map(({ id, tasks, tasksOfAll, standbys }) => {
    const name = id.replace('campus-', '')
    const copies = standbys.length === 0 ? '' : ` and ${standbys.length} standbys`
    return `${name} ${tasks.length}/${tasksOfAll}${copies}`
  })
  return ` · runs ${texts.join(', ')}`
}

async function openWindows(applications: Campus['applications']): Promise<number> {
  const streams = applications.running('campus-analytics')
  if (streams === undefined || streams.state !== 'running') return 0
  return (await streams.query(minuteTotals).windows({}, { localOnly: true })).value.length
}
