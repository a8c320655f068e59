/** A container's name as people write it: Docker has it with a slash before. Empty where it has none. */
export function containerName(name: string | undefined): string {
  return (name ?? '').replace(/^\//, '');
}
