//! Figures of this process and of the machine under it.

mod groups;

use std::path::Path;
use std::process::Command;

/// What a machine is taken to have free where its system says nothing.
const FALLBACK_BYTES: u64 = 8 << 30;

/// Memory that can be taken without pushing others out, in bytes: what the system says, or less where a control group
/// (a container, a slice of systemd) has less left. Where nothing says so, three quarters of what the machine has, or
/// 8 GiB where it does not say that either.
pub fn available_bytes() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let system = field_kib(&meminfo, "MemAvailable:").map(|kib| kib * 1024);
    let system = system.or_else(|| machine_bytes().map(|bytes| bytes / 4 * 3));
    let group = groups::left_bytes(&group_lines(), Path::new("/sys/fs/cgroup"));
    system.unwrap_or(FALLBACK_BYTES).min(group.unwrap_or(u64::MAX))
}

fn group_lines() -> String {
    std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

/// Memory of a machine without `/proc`: macOS and the BSDs tell it by `sysctl`.
fn machine_bytes() -> Option<u64> {
    if !cfg!(unix) {
        return None;
    }
    let asked = ["hw.memsize", "hw.physmem"].into_iter().find_map(|name| {
        let answer = Command::new("sysctl").args(["-n", name]).output().ok()?;
        String::from_utf8(answer.stdout).ok()?.trim().parse().ok()
    });
    asked.filter(|bytes| *bytes > 0)
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
