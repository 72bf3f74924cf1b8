/**
 * What campus sells, and how much of it the first start puts on the shelves.
 *
 * Invariant: the seed's ids are fixed, so seeding twice adds nothing.
 */
export interface MenuItem {
  readonly item_id: string
  readonly qty: number
}

export const menu: readonly MenuItem[] = [
  { item_id: 'burger', qty: 100_000 },
  { item_id: 'pizza', qty: 100_000 },
  { item_id: 'salad', qty: 50_000 },
  { item_id: 'ramen', qty: 50_000 },
  { item_id: 'burrito', qty: 50_000 },
  { item_id: 'sushi', qty: 10_000 },
  { item_id: 'falafel', qty: 10_000 },
  { item_id: 'pancakes', qty: 1_000 },
  { item_id: 'soup', qty: 500 },
  { item_id: 'cake', qty: 50 },
]
