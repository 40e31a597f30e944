//! What `/proc` tells about a process, and ending one.

use super::{sys, wait_until};
use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::RawFd,
    path::{Path, PathBuf},
    time::Duration,
};

fn file(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// Whether any of the process's threads runs. What only waits to be reaped
/// does not; but other threads may outlive the first one, and hold its files.
pub fn alive(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(file(pid, "task")) else {
        return false;
    };
    threads.flatten().any(|thread| {
        // One that has gone meanwhile does not run either.
        let text = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = text.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
        !matches!(state, None | Some(b'Z' | b'X'))
    })
}

/// The fields of `/proc/PID/stat` after the name: state, parent, group, session, …
pub fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(file(pid, "stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// The parts of the command line.
pub fn arguments(pid: u32) -> Vec<u8> {
    fs::read(file(pid, "cmdline")).unwrap_or_default()
}

/// The environment it was started with.
pub fn environment(pid: u32) -> io::Result<Vec<u8>> {
    fs::read(file(pid, "environ"))
}

/// Its open files.
pub fn descriptors(pid: u32) -> io::Result<BTreeMap<RawFd, PathBuf>> {
    let mut out = BTreeMap::new();
    for entry in fs::read_dir(file(pid, "fd"))? {
        let entry = entry?;
        let fd = entry.file_name().to_string_lossy().parse();
        if let (Ok(fd), Ok(target)) = (fd, fs::read_link(entry.path())) {
            out.insert(fd, target);
        }
    }
    Ok(out)
}

/// Resident memory in bytes.
pub fn resident(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(file(pid, "smaps_rollup"))?;
    text.lines()
        .find_map(|l| {
            l.strip_prefix("Rss:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse::<u64>()
                .ok()
        })
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("no Rss"))
}

/// Every process whose command line names something in `root`, this one excepted.
pub fn of(root: &Path) -> Vec<u32> {
    let own = std::process::id();
    let root = root.as_os_str().as_encoded_bytes();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own && *pid > 1)
        .filter(|pid| arguments(*pid).windows(root.len()).any(|w| w == root))
        .filter(|pid| alive(*pid))
        .collect()
}

/// The agents among [`of`].
pub fn agents(root: &Path) -> Vec<u32> {
    of(root)
        .into_iter()
        .filter(|pid| {
            let arguments = arguments(*pid);
            let program = arguments.split(|b| *b == 0).next().unwrap_or_default();
            program.ends_with(b"sv-agent")
        })
        .collect()
}

/// Kills the process with SIGKILL and waits until it is gone.
pub fn end(pid: u32) {
    // One that is gone already is as good.
    let _ = sys::kill(pid, libc::SIGKILL);
    wait_until("the process is gone", Duration::from_secs(10), || {
        (!alive(pid)).then_some(())
    });
}
