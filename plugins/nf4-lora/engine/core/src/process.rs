//! Figures of this process.

/// Memory that can be taken without pushing others out, in bytes: what the system says, or less where a control group
/// (a container) has less left. `u64::MAX` where nothing says so.
pub fn available_bytes() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let system = field_kib(&meminfo, "MemAvailable:").map_or(u64::MAX, |kib| kib * 1024);
    system.min(group_bytes().unwrap_or(u64::MAX))
}

/// What is left of the control group's limit; files that it may drop count as free.
fn group_bytes() -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let used: u64 = read("memory.current")?.trim().parse().ok()?;
    let stat = read("memory.stat")?;
    let files = stat
        .lines()
        .find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
    Some(limit.saturating_sub(used.saturating_sub(files.unwrap_or(0))))
}

fn field_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Resident memory in bytes; 0 where the system has no `/proc`.
pub fn rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    field_kib(&status, "VmRSS:").unwrap_or(0) * 1024
}

/// Highest resident memory so far in bytes; 0 where the system has no `/proc`.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    field_kib(&status, "VmHWM:").unwrap_or(0) * 1024
}
