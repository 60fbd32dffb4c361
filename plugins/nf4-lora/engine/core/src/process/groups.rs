//! Limits of Linux' control groups: of the group of this process and of every group around it.

use std::path::{Path, PathBuf};

/// Names of the files that say limit and use, and of the line of `memory.stat` with what may be dropped.
struct Files {
    limit: &'static str,
    used: &'static str,
    dropped: &'static str,
}

const V2: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    dropped: "inactive_file ",
};
const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    dropped: "total_inactive_file ",
};

/// The least that is left of a limit, in bytes; files that a group may drop count as free. `lines` is
/// `/proc/self/cgroup`, `mount` where the groups are mounted. `None` where there is no limit.
pub(super) fn left_bytes(lines: &str, mount: &Path) -> Option<u64> {
    lines
        .lines()
        .filter_map(|line| places(line, mount))
        .flat_map(|(files, root, group)| {
            let folders: Vec<PathBuf> = group.ancestors().map(|part| root.join(part)).collect();
            folders.into_iter().filter_map(|folder| files.left(&folder))
        })
        .min()
}

/// What a line of `/proc/self/cgroup` (`number:controllers:/path`) says of memory: the files, where the tree of groups
/// is mounted, and the group's path in it. In a container the path may be one that only its host has: then the groups
/// that are there, the root at least, count.
fn places(line: &str, mount: &Path) -> Option<(&'static Files, PathBuf, PathBuf)> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let group = PathBuf::from(path.trim_start_matches('/'));
    if controllers.split(',').any(|name| name == "memory") {
        return Some((&V1, mount.join("memory"), group));
    }
    if !controllers.is_empty() {
        return None;
    }
    // Beside the groups of version 1, those of version 2 have a folder of their own.
    let beside = mount.join("unified");
    let root = if beside.is_dir() { beside } else { mount.to_owned() };
    Some((&V2, root, group))
}

impl Files {
    /// What is left of the limit of one group; `None` where it has none ("max").
    fn left(&self, folder: &Path) -> Option<u64> {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let limit: u64 = read(self.limit)?.trim().parse().ok()?;
        let used: u64 = read(self.used)?.trim().parse().ok()?;
        let stat = read("memory.stat").unwrap_or_default();
        let dropped = stat
            .lines()
            .find_map(|line| line.strip_prefix(self.dropped)?.parse::<u64>().ok());
        Some(limit.saturating_sub(used.saturating_sub(dropped.unwrap_or(0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use escada_engine_formats::error::Result;

    fn group(root: &Path, path: &str, files: &Files, limit: &str, used: u64, dropped: u64) -> Result<()> {
        let folder = root.join(path);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(files.limit), format!("{limit}\n"))?;
        std::fs::write(folder.join(files.used), format!("{used}\n"))?;
        let stat = format!("anon 1\n{}{dropped}\n", files.dropped);
        Ok(std::fs::write(folder.join("memory.stat"), stat)?)
    }

    #[test]
    fn the_least_that_is_left_in_any_group_above_counts() -> Result<()> {
        let mount = tempfile::tempdir()?;
        let root = mount.path();
        group(root, "user.slice", &V2, "1000", 700, 0)?;
        group(root, "user.slice/user-1.slice", &V2, "max", 650, 0)?;
        group(root, "user.slice/user-1.slice/run.scope", &V2, "800", 600, 500)?;
        let left = |lines: &str| left_bytes(lines, root);
        assert_eq!(
            left("0::/user.slice/user-1.slice/run.scope\n"),
            Some(300),
            "of the slice"
        );
        assert_eq!(left("0::/user.slice/user-1.slice\n"), Some(300));
        group(root, "user.slice/user-1.slice/run.scope", &V2, "800", 600, 10)?;
        assert_eq!(
            left("0::/user.slice/user-1.slice/run.scope\n"),
            Some(210),
            "of the scope"
        );
        assert_eq!(
            (left("0::/system.slice\n"), left(""), left("nonsense")),
            (None, None, None)
        );
        // A container without a view of its host's groups: its own limit is at the root.
        group(root, "", &V2, "50", 8, 0)?;
        assert_eq!(left("0::/docker/abc\n"), Some(42));
        Ok(())
    }

    #[test]
    fn groups_of_version_1_are_read_by_their_controller() -> Result<()> {
        let mount = tempfile::tempdir()?;
        let memory = mount.path().join("memory");
        group(&memory, "", &V1, "9223372036854771712", 5000, 0)?;
        group(&memory, "docker/abc", &V1, "1000", 400, 100)?;
        let lines = "12:cpu,cpuacct:/docker/abc\n5:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/system.slice\n";
        assert_eq!(left_bytes(lines, mount.path()), Some(700));
        // Used beyond its limit.
        group(&memory, "docker/abc", &V1, "1000", 4000, 100)?;
        assert_eq!(left_bytes(lines, mount.path()), Some(0));
        Ok(())
    }
}
