/** Figures for people: a line each, and a table that is kept with the commit it belongs to. */
import { holds, type Figure } from './figure.ts'
import type { Machine } from './machine.ts'

export function figureLine(figure: Figure, scale: { readonly isSmoke: boolean }): string {
  const { bench, name, unit, repeats, checksum, note } = figure
  const parts = [
    `${bench.padEnd(16)} ${name.padEnd(34)} ${valueText(figure)} ${unit}`,
    `${repeats} times`,
    ...(checksum === undefined ? [] : [`checksum ${checksum}`]),
    ...(note === undefined ? [] : [note]),
    ...(scale.isSmoke ? [] : [verdict(figure)]),
  ]
  return parts.filter((part) => part !== '').join(' · ')
}

export function report(machine: Machine, figures: readonly Figure[]): string {
  const benches = [...new Set(figures.map(({ bench }) => bench))]
  const heads = Object.entries(machine).map(([name, value]) => `- ${name}: ${value}`)
  const tables = benches.map((bench) => tableOf(bench, figures))
  return `# Measured\n\n${heads.join('\n')}\n\nMedians, with the least and the most in brackets.\n\n${tables.join('\n')}`
}

function tableOf(bench: string, all: readonly Figure[]): string {
  const figures = all.filter((figure) => figure.bench === bench)
  const checksum = figures.find((figure) => figure.checksum !== undefined)?.checksum
  const rows = figures.map((figure) => {
    const { name, unit, repeats, note = '' } = figure
    return `| ${name} | ${valueText(figure)} ${unit} | ${repeats} | ${verdict(figure)} | ${note} |`
  })
  return [
    `## ${bench}`,
    '',
    '| what | figure | repeats | asked | |',
    '|---|---|--:|---|---|',
    ...rows,
    '',
    ...(checksum === undefined
      ? []
      : [`Checksum of the work, equal on all sides: \`${checksum}\`.`, '']),
  ].join('\n')
}

function valueText({ value, min, max }: Figure): string {
  const range =
    min === undefined || max === undefined ? '' : ` (${numberText(min)}–${numberText(max)})`
  return `${numberText(value)}${range}`
}

function numberText(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toFixed(digits)
}

function verdict(figure: Figure): string {
  const { floor, ceiling } = figure
  const held = holds(figure)
  if (held === undefined) return ''
  const asked = floor === undefined ? `at most ${ceiling}` : `at least ${floor}`
  return `${asked}: ${held ? 'holds' : 'does not hold'}`
}
