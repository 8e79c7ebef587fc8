// Every repair of apache-beam 2.49.0 that beamline needs, one file a defect, applied once before anything else runs.
export function applyFixes(): void {}
