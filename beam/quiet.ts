export function quietSdkLogs(): void {}
