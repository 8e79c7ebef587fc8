// Many small pieces of work at once, but not more than so many.

/** Does `work` with each; comes back when all are done. After a failure no more is begun, and it is thrown when nothing is under way. */
export async function eachAtOnce<T>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: { readonly error: unknown } | null = null;
  const worker = async (): Promise<void> => {
    while (failure === null && next < items.length) {
      const item = items[next] as T;
      next += 1;
      try {
        await work(item);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
  // TypeScript does not see that the workers set it.
  const failed = failure as { readonly error: unknown } | null;
  if (failed !== null) throw failed.error;
}
