export function takeStepIn(
  name: "chromium" | "firefox",
  executablePath: string,
  step: { readonly server: string; readonly run: string; readonly by: string },
): Promise<readonly string[]>;
