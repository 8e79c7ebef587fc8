/** Installs a fix once. The mark lies on the patched object, because two copies of this file may meet one SDK. */
export function once(target: object, fix: string, install: () => void): void {
  const mark = Symbol.for(`beamline.fix.${fix}`);
  if (Object.hasOwn(target, mark)) return;
  install();
  Object.defineProperty(target, mark, { value: true });
}
