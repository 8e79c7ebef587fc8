// placeholder
export async function init(_directory: string, _names: readonly string[]): Promise<number> {
  return 0;
}
