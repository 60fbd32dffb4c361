/** A run's id as a part of a file name: the id may hold slashes and anything else. */
export function fileNameOf(run: string): string {
  return run.replaceAll(/[^\w.-]+/g, '-');
}
