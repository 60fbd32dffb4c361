import { readFileSync, writeFileSync } from 'node:fs';

function statusBytes(field: string): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}

/**
 * Starts to watch this process's memory, native parts included; the function it returns gives the most that was used
 * at once beyond the start, in bytes. Linux lets a process reset its high-water mark; elsewhere only new records count.
 */
export function watchMemory(): () => number {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
    const start = statusBytes('VmRSS');
    return () => Math.max(0, statusBytes('VmHWM') - start);
  } catch {
    const start = process.resourceUsage().maxRSS;
    return () => (process.resourceUsage().maxRSS - start) * 1024;
  }
}
