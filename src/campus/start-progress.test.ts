import { expect, test } from 'bun:test'
import { StartProgress } from './start-progress.ts'

const applicationId = 'campus-inventory'

test('a start says which step it waits for', () => {
  const progress = new StartProgress()
  expect(`${progress}`).toBe('its port')
  progress.step('the log')
  expect(`${progress}`).toBe('the log')
})

test('and of applications: assignment, tasks that are not running, and what is tried again', () => {
  const progress = new StartProgress()
  progress.step('its applications')
  progress.observe({ kind: 'state', applicationId, state: 'rebalancing' })
  expect(`${progress}`).toBe('its applications (campus-inventory: rebalancing, no assignment yet)')
  progress.observe({ kind: 'rebalance', applicationId, generation: 3, tasks: ['0_0', '0_1'] })
  progress.observe({ kind: 'task-state', applicationId, taskId: '0_0', state: 'running' })
  progress.observe({ kind: 'task-state', applicationId, taskId: '0_1', state: 'restoring' })
  progress.observe({ kind: 'recovering', applicationId, cause: new Error('no broker') })
  expect(`${progress}`).toBe(
    'its applications (campus-inventory: rebalancing, generation 3 gave it 2 tasks, 0_1 restoring, ' +
      'tries again after Error: no broker)',
  )
  progress.observe({ kind: 'state', applicationId, state: 'running' })
  expect(`${progress}`).toBe('its applications')
})
