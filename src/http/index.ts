/** What an HTTP face of an application needs: problem documents and bodies that are checked whole. */
export * from './problem.ts'
