//! Where keys are and where they are not: another process of the same user
//! reads nothing, and a core that root takes holds no key.

mod common;

use common::{AGENT, Home, PASSWORD, SV, files, holds, proc, wait_until};
use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// A home that belongs to nobody (uid 65534), with programs that it can run.
struct Nobody {
    home: Home,
    sv: PathBuf,
    agent: PathBuf,
}

impl Nobody {
    fn new() -> Self {
        let home = Home::new();
        let bin = home.root.join("bin");
        fs::create_dir(&bin).expect("a folder");
        let copy = |program: &str, name: &str| {
            let to = bin.join(name);
            fs::copy(program, &to).expect("a copy");
            to
        };
        let this = Self {
            sv: copy(SV, "sv"),
            agent: copy(AGENT, "sv-agent"),
            home,
        };
        // The folder is nobody's own, from its root down.
        let mut all = vec![this.home.root.clone()];
        while let Some(path) = all.pop() {
            std::os::unix::fs::chown(&path, Some(65534), Some(65534)).expect("chown");
            if path.is_dir() {
                let entries = fs::read_dir(&path).expect("a folder");
                all.extend(entries.map(|e| e.expect("an entry").path()));
            }
        }
        this
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.home.command(program.as_ref());
        command.uid(65534).gid(65534);
        command
    }

    /// `sv` as nobody; its standard output.
    fn sv(&self, arguments: &str, input: &str) -> Vec<u8> {
        let mut command = self.command(&self.sv);
        command.args(arguments.split(' '));
        common::Call::new(command).line(input).ok()
    }
}

/// The flags of the mappings whose name or size `wanted` picks.
fn flags(pid: u32, wanted: impl Fn(&str, u64) -> bool) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
    let mut found = Vec::new();
    let (mut name, mut size) = (String::new(), 0);
    for line in text.lines() {
        let first = line.split(' ').next().unwrap_or_default();
        if let Some(rest) = line.strip_prefix("VmFlags:") {
            if wanted(&name, size) {
                found.push(format!("{} ", rest.trim()));
            }
        } else if first.contains('-') && !first.ends_with(':') {
            name = line.split_whitespace().nth(5).unwrap_or("").to_owned();
        } else if let Some(rest) = line.strip_prefix("Size:") {
            size = rest.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        }
    }
    found
}

fn key_pages(pid: u32) -> Vec<String> {
    flags(pid, |name, _| name.starts_with("/secretmem"))
}

fn arena(pid: u32) -> Vec<String> {
    flags(pid, |name, size| {
        name.is_empty() && (65_536..=70_000).contains(&size)
    })
}

/// A core of the process, taken by root.
fn core(home: &Home, pid: u32) -> Vec<u8> {
    let prefix = home.root.join("core");
    let status = Command::new("gcore")
        .arg("-o")
        .arg(&prefix)
        .arg(pid.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("gcore runs");
    assert!(status.success(), "root can take a core");
    let path = format!("{}.{pid}", prefix.display());
    let core = fs::read(&path).expect("the core");
    fs::remove_file(path).expect("removed");
    core
}

#[test]
fn a_core_taken_by_root_holds_no_key() {
    let home = Home::with_vault();
    home.add("canary", b"a value, not a key");
    let stopped = home.pid();
    home.sv("agent stop").ok();
    wait_until("it ends", Duration::from_secs(10), || {
        (!proc::alive(stopped)).then_some(())
    });
    let secrets = sv_vault_core::inspect::secrets(&home.vault, PASSWORD.as_bytes())
        .expect("the password opens the vault");
    assert!(secrets.len() >= 11);

    home.unlock();
    let pid = home.pid();
    for i in 0..50 {
        assert_eq!(home.get("canary"), b"a value, not a key");
        home.add(&format!("more/{i}"), b"x");
    }
    home.sv("list").ok();
    let check = |when: &str| {
        let core = core(&home, pid);
        // The core is a real one: what need not be secret is in it.
        assert!(holds(&core, b"SQLite format 3"), "{when}");
        let found: Vec<&str> = secrets
            .iter()
            .filter(|(_, bytes)| holds(&core, bytes))
            .map(|(name, _)| *name)
            .collect();
        assert!(found.is_empty(), "{when}: the core holds {found:?}");
        assert!(!holds(&core, PASSWORD.as_bytes()), "{when}: the password");
    };
    check("unlocked");
    home.sv("passwd --password-stdin")
        .input(format!("{PASSWORD}\n{PASSWORD}\n").as_bytes())
        .ok();
    check("after passwd");
    home.sv("lock").ok();
    check("locked");
}

#[test]
fn key_pages_are_locked_not_dumped_and_go_with_the_lock() {
    let home = Home::with_vault();
    let pid = home.pid();
    assert_eq!(home.status()["key_memory"], "memfd_secret");
    let pages = key_pages(pid);
    assert!(!pages.is_empty(), "key pages are mapped while unlocked");
    for flags in &pages {
        for flag in ["lo ", "dc ", "dd "] {
            assert!(flags.contains(flag), "{flag} is not among {flags}");
        }
    }
    assert_eq!(arena(pid), [""; 0], "the arena is gone after unlocking");
    home.sv("lock").ok();
    assert_eq!(key_pages(pid), [""; 0], "no key page is left after lock");
    home.unlock();
    assert!(!key_pages(pid).is_empty());
}

#[test]
fn the_arena_is_not_dumped_while_it_lasts() {
    let home = Home::new();
    home.configure("[kdf]\npasses = 10\n");
    home.init();
    home.sv("lock").ok();
    let pid = home.pid();
    let socket = home.socket.clone();
    let unlocking = std::thread::spawn(move || {
        let mut client = common::client::Client::connect(&socket).expect("an agent");
        client.unlock(PASSWORD.as_bytes())
    });
    wait_until("the arena is seen", Duration::from_secs(30), || {
        (!arena(pid).is_empty()).then_some(())
    });
    // Between the call that maps it and the one that flags it, it is empty.
    std::thread::sleep(Duration::from_millis(5));
    let seen = arena(pid);
    assert!(!seen.is_empty(), "the derivation takes longer than that");
    for flags in seen {
        assert!(flags.contains("dd ") && flags.contains("dc "), "{flags}");
    }
    assert!(unlocking.join().expect("no panic").is_ok());
    assert_eq!(arena(pid), [""; 0]);
}

#[test]
fn the_same_user_reads_nothing() {
    let nobody = Nobody::new();
    nobody.sv("init --password-stdin", PASSWORD);
    nobody.sv("add canary", "value");
    let status = nobody.sv("status --json", "");
    let status: serde_json::Value = serde_json::from_slice(&status).expect("JSON");
    let pid = status["pid"]
        .as_u64()
        .and_then(|p| p.try_into().ok())
        .expect("a pid");
    let attempt = |what: &str, f: &dyn Fn() -> std::io::Result<()>| {
        let error = f().expect_err(what);
        let refused = [libc::EPERM, libc::EACCES];
        let code = error.raw_os_error().unwrap_or(libc::EACCES);
        assert!(refused.contains(&code), "{what}: {error}");
    };
    common::sys::as_nobody(|| {
        attempt("/proc/PID/mem", &|| {
            fs::File::open(format!("/proc/{pid}/mem")).map(drop)
        });
        attempt("/proc/PID/maps", &|| {
            fs::read(format!("/proc/{pid}/maps")).map(drop)
        });
        attempt("/proc/PID/environ", &|| {
            fs::read(format!("/proc/{pid}/environ")).map(drop)
        });
        attempt("process_vm_readv", &|| common::sys::read_memory(pid));
        attempt("pidfd_getfd", &|| common::sys::take_descriptor(pid));
        attempt("ptrace", &|| common::sys::attach(pid));
    });
    // The same with a debugger, which would have to attach.
    let prefix = nobody.home.root.join("core");
    let output = nobody
        .command("gcore")
        .arg("-o")
        .arg(&prefix)
        .arg(pid.to_string())
        .output()
        .expect("gcore runs");
    assert!(!output.status.success(), "no core for the same user");
    assert!(
        files(&nobody.home.root)
            .iter()
            .all(|(p, _)| !p.starts_with(&prefix))
    );
    assert_eq!(nobody.sv("get canary", ""), b"value");
}

#[test]
fn without_memory_for_keys_it_refuses_unless_told_by_name() {
    let nobody = Nobody::new();
    let start = |more: &[&str]| {
        let mut command = nobody.command("prlimit");
        command
            .arg("--memlock=0:0")
            .arg(&nobody.agent)
            .arg("--vault")
            .arg(&nobody.home.vault)
            .arg("--socket")
            .arg(&nobody.home.socket)
            .args(more);
        command
    };
    let output = start(&[]).output().expect("it ends by itself");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no memory can be kept out of swap"), "{text}");
    assert!(text.contains("hint: "), "{text}");
    assert!(!nobody.home.socket.exists());

    let mut agent = start(&["--allow-swappable-keys"])
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    wait_until("it listens", Duration::from_secs(10), || {
        nobody.home.socket.exists().then_some(())
    });
    let status = nobody.sv("status --json", "");
    assert!(holds(&status, b"\"key_memory\":\"none\""));
    agent.kill().expect("a signal");
    agent.wait().expect("waiting");
}

#[test]
fn without_memfd_secret_pages_are_locked() {
    let home = Home::new();
    let log = home.root.join("strace.log");
    let mut command = home.command("strace");
    command
        .arg("-f")
        .arg("-o")
        .arg(&log)
        .args([
            "-e",
            "trace=memfd_secret",
            "-e",
            "inject=memfd_secret:error=ENOSYS",
        ])
        .arg(AGENT)
        .arg("--vault")
        .arg(&home.vault)
        .arg("--socket")
        .arg(&home.socket);
    let _agent = common::Agent::start(&home, command);
    home.init();
    home.add("canary", b"value");
    let status = home.status();
    assert_eq!(status["key_memory"], "mlock");
    let pid = home.pid();
    let locked = flags(pid, |name, size| name.is_empty() && size == 16);
    assert!(
        locked
            .iter()
            .any(|f| ["lo ", "dc ", "dd "].iter().all(|flag| f.contains(flag))),
        "{locked:?}"
    );
    assert_eq!(home.get("canary"), b"value");
}
