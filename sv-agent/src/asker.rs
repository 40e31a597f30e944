//! Who is at the other end, as far as the kernel tells: for the audit log.
//!
//! Not the executable: it can't be read for a process that is not dumpable,
//! nor from the agent's sandbox. The process's own name is not verified.

use nix::unistd::geteuid;
use std::fs;
use sv_vault_core::Asker;

/// The agent itself.
pub(crate) fn itself() -> Asker {
    Asker {
        uid: geteuid().as_raw(),
        ..Asker::default()
    }
}

/// The process `pid` of the user `uid`. What it has not told before it ended
/// stays empty.
pub(crate) fn of(uid: u32, pid: i32) -> Asker {
    let mut asker = Asker {
        uid,
        pid: u32::try_from(pid).unwrap_or_default(),
        ..Asker::default()
    };
    if asker.pid == 0 {
        return asker;
    }
    if let Ok(stat) = fs::read(format!("/proc/{pid}/stat"))
        && let Some((comm, started)) = parse_stat(&stat)
    {
        asker.comm = shown(comm);
        asker.started = started;
    }
    if let Ok(cgroup) = fs::read(format!("/proc/{pid}/cgroup")) {
        asker.unit = shown(unit(&cgroup));
    }
    asker
}

/// The name and the start time. The name may hold anything, parentheses and
/// line breaks too, so its end is the last one.
fn parse_stat(stat: &[u8]) -> Option<(&[u8], u64)> {
    let from = stat.iter().position(|b| *b == b'(')? + 1;
    let to = stat.iter().rposition(|b| *b == b')')?;
    let comm = stat.get(from..to)?;
    let rest = std::str::from_utf8(stat.get(to + 1..)?).ok()?;
    // Field 22 of the line; the first one here is field 3.
    let started = rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()?;
    Some((comm, started))
}

/// The innermost unit of the control group.
fn unit(cgroup: &[u8]) -> &[u8] {
    let lines = || cgroup.split(|b| *b == b'\n');
    let path = |line: &'_ [u8]| -> Option<usize> {
        let controllers = line.iter().position(|b| *b == b':')? + 1;
        Some(controllers + line.get(controllers..)?.iter().position(|b| *b == b':')? + 1)
    };
    // Version 2, or systemd's own hierarchy of version 1.
    let line = lines()
        .find(|line| line.starts_with(b"0::"))
        .or_else(|| lines().find(|line| line.windows(13).any(|w| w == b":name=systemd")));
    let Some(line) = line else {
        return b"";
    };
    path(line)
        .and_then(|at| line.get(at..))
        .unwrap_or_default()
        .split(|b| *b == b'/')
        .rfind(|part| part.ends_with(b".service") || part.ends_with(b".scope"))
        .unwrap_or_default()
}

/// As text that does nothing to a terminal, of at most 255 bytes.
fn shown(bytes: &[u8]) -> String {
    let mut out = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        let piece: String = match c {
            _ if c.is_control() => c.escape_default().collect(),
            // Marks of direction and separators.
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => c.escape_default().collect(),
            _ => c.to_string(),
        };
        if out.len() + piece.len() > 255 {
            break;
        }
        out.push_str(&piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process() {
        let pid = std::process::id();
        let asker = of(7, pid.cast_signed());
        assert_eq!((asker.uid, asker.pid), (7, pid));
        assert!(asker.started > 0);
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        // Of the process, not of this thread.
        assert!(!asker.comm.is_empty() && !comm.is_empty());
    }

    #[test]
    fn who_is_gone_has_no_name() {
        for pid in [0, -1, i32::MAX] {
            let asker = of(7, pid);
            assert_eq!((asker.started, asker.comm.as_str()), (0, ""));
        }
    }

    #[test]
    fn a_name_can_hold_anything() {
        let rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21\n";
        for name in ["sv", "a b", ")", ") S 1", "((", "x\n)", ""] {
            let stat = format!("17 ({name}){rest}");
            let (comm, started) = parse_stat(stat.as_bytes()).unwrap();
            assert_eq!(comm, name.as_bytes());
            assert_eq!(started, 4242);
        }
        assert_eq!(parse_stat(b"17 (sv) S 1"), None);
        assert_eq!(parse_stat(b""), None);
        assert_eq!(
            shown(b"a\x1b[2J\n\xff\xe2\x80\xae"),
            "a\\u{1b}[2J\\n\u{fffd}\\u{202e}"
        );
        assert_eq!(shown(&[b'x'; 400]).len(), 255);
    }

    #[test]
    fn units() {
        let cases = [
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n",
                "web.service",
            ),
            (
                "0::/user.slice/user-0.slice/session-2.scope\n",
                "session-2.scope",
            ),
            ("0::/system.slice/ssh.service/sub\n", "ssh.service"),
            ("0::/\n", ""),
            ("", ""),
            (
                "12:pids:/a.service\n1:name=systemd:/system.slice/cron.service\n",
                "cron.service",
            ),
            ("1:name=systemd:/x.scope\n0::/y.scope\n", "y.scope"),
            ("garbage", ""),
        ];
        for (cgroup, wanted) in cases {
            assert_eq!(unit(cgroup.as_bytes()), wanted.as_bytes(), "{cgroup:?}");
        }
    }
}
