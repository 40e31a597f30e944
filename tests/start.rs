//! How an agent comes up and goes down, and who may be there already.

mod common;

use common::{AGENT, Agent, Home, PASSWORD, proc, sys, wait_until};
use std::{
    fs,
    io::Read,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, symlink},
        net::{UnixDatagram, UnixListener},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A home whose vault exists and whose agent has ended.
fn stopped() -> Home {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("agent stop").ok();
    wait_until("the agent is gone", PATIENCE, || {
        proc::agents(&home.root).is_empty().then_some(())
    });
    home
}

fn lock_file(home: &Home) -> PathBuf {
    PathBuf::from(format!("{}.lock", home.socket.display()))
}

fn refused(home: &Home) {
    let err = home.sv("unlock --password-stdin").line(PASSWORD).fails(7);
    assert!(!err.contains(PASSWORD));
    assert!(proc::agents(&home.root).is_empty(), "nothing runs");
    // The agent run by hand says the same under its own name.
    let out = home
        .agent_command()
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(7), "{err}");
    assert!(err.lines().any(|l| l.starts_with("sv-agent: ")), "{err}");
}

#[test]
fn a_symlinked_folder_is_refused() {
    let home = stopped();
    let folder = home.socket.parent().expect("a folder");
    let real = home.root.join("elsewhere");
    fs::rename(folder, &real).expect("moved");
    symlink(&real, folder).expect("a link");
    refused(&home);
    assert!(!real.join("agent.sock").exists());
    fs::remove_file(folder).expect("the link");
    fs::rename(&real, folder).expect("moved back");
    home.unlock();
}

#[test]
fn a_symlinked_socket_is_refused() {
    let home = stopped();
    let target = home.root.join("precious");
    fs::write(&target, "precious").expect("a file");
    symlink(&target, &home.socket).expect("a link");
    refused(&home);
    assert_eq!(fs::read(&target).expect("the file"), b"precious");
    assert!(
        fs::symlink_metadata(&home.socket)
            .expect("the link")
            .is_symlink(),
        "left alone"
    );
    fs::remove_file(&home.socket).expect("the link");
    home.unlock();
}

#[test]
fn a_symlink_to_a_socket_is_refused() {
    let home = stopped();
    let target = home.root.join("other.sock");
    drop(UnixListener::bind(&target).expect("a socket"));
    symlink(&target, &home.socket).expect("a link");
    refused(&home);
    assert!(target.exists(), "left alone");
}

#[test]
fn a_symlinked_lock_is_refused() {
    let home = stopped();
    let target = home.root.join("precious");
    fs::write(&target, "precious").expect("a file");
    let lock = lock_file(&home);
    if lock.exists() {
        fs::remove_file(&lock).expect("the old lock");
    }
    symlink(&target, &lock).expect("a link");
    refused(&home);
    assert_eq!(fs::read(&target).expect("the file"), b"precious");
    fs::remove_file(&lock).expect("the link");
    home.unlock();
}

#[test]
fn what_is_not_a_socket_is_left_alone() {
    let home = stopped();
    fs::write(&home.socket, "precious").expect("a file");
    refused(&home);
    assert_eq!(fs::read(&home.socket).expect("the file"), b"precious");
    fs::remove_file(&home.socket).expect("the file");
    fs::create_dir(&home.socket).expect("a folder");
    refused(&home);
    assert!(home.socket.is_dir());
}

#[test]
fn a_socket_of_somebody_else_is_left_alone() {
    let home = stopped();
    drop(UnixListener::bind(&home.socket).expect("a socket"));
    std::os::unix::fs::chown(&home.socket, Some(65534), Some(65534)).expect("another owner");
    refused(&home);
    assert!(home.socket.exists());
}

#[test]
fn killed_then_started_again() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let first = home.pid();
    home.kill_agent();
    let kind = fs::symlink_metadata(&home.socket)
        .expect("left behind")
        .file_type();
    assert!(kind.is_socket(), "a stale socket");
    home.sv("get a").fails(3);
    home.unlock();
    assert_eq!(home.get("a"), b"1");
    assert_ne!(home.pid(), first);
    home.sv("verify").ok();
}

#[test]
fn fifty_starts_leave_one_agent() {
    let home = stopped();
    for round in 0..2 {
        let pids: Vec<u64> = thread::scope(|scope| {
            let calls: Vec<_> = (0..50)
                .map(|_| scope.spawn(|| home.sv("status --json").json()["pid"].as_u64()))
                .collect();
            calls
                .into_iter()
                .map(|c| c.join().expect("a call").expect("a pid"))
                .collect()
        });
        assert!(
            pids.iter().all(|p| *p == pids[0]),
            "round {round}: {pids:?}"
        );
        // One that came too late may still be on its way out.
        wait_until("one agent is left", PATIENCE, || {
            (proc::agents(&home.root).len() == 1).then_some(())
        });
        assert_eq!(u64::from(home.pid()), pids[0]);
        // The second round finds a stale socket.
        home.kill_agent();
    }
}

#[test]
fn fifty_unlocks_leave_one_agent() {
    let home = stopped();
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| home.unlock());
        }
    });
    wait_until("one agent is left", PATIENCE, || {
        (proc::agents(&home.root).len() == 1).then_some(())
    });
    assert_eq!(home.get("a"), b"1");
}

#[test]
fn fifty_inits_make_one_vault() {
    let home = Home::new();
    let codes: Vec<i32> = thread::scope(|scope| {
        let calls: Vec<_> = (0..20)
            .map(|i| {
                let home = &home;
                scope.spawn(move || {
                    home.sv("init --password-stdin")
                        .line(&format!("password {i}"))
                        .run()
                        .code()
                })
            })
            .collect();
        calls
            .into_iter()
            .map(|c| c.join().expect("a call"))
            .collect()
    });
    let made: Vec<usize> = (0..codes.len()).filter(|i| codes[*i] == 0).collect();
    assert_eq!(made.len(), 1, "{codes:?}");
    assert!(codes.iter().all(|c| [0, 5].contains(c)), "{codes:?}");
    home.sv("lock").ok();
    home.sv("unlock --password-stdin")
        .line(&format!("password {}", made[0]))
        .ok();
}

#[test]
fn a_started_agent_is_on_its_own() {
    let home = stopped();
    let marker = home.root.join("marker");
    fs::write(&marker, "").expect("a file");
    home.shell(r#"exec 33<marker; exec "$SV" unlock --password-stdin"#)
        .env("CANARY_TOKEN", "canary-environment")
        .env("LD_PRELOAD", "/nonexistent/canary.so")
        .env("LANG", "C.UTF-8")
        .line(PASSWORD)
        .ok();
    let pid = home.pid();
    let stat = proc::stat(pid).expect("the agent");
    assert_eq!(stat[2], pid.to_string(), "its own process group");
    assert_eq!(stat[3], pid.to_string(), "its own session");
    assert_eq!(stat[4], "0", "no terminal");

    let environment = proc::environment(pid).expect("its environment");
    assert!(
        !common::holds(&environment, b"canary"),
        "nothing of the caller's"
    );
    for entry in environment.split(|b| *b == 0).filter(|e| !e.is_empty()) {
        let name = String::from_utf8_lossy(entry.split(|b| *b == b'=').next().unwrap_or(entry))
            .into_owned();
        let known = [
            "HOME",
            "PATH",
            "LANG",
            "XDG_RUNTIME_DIR",
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "SV_LOG",
        ];
        assert!(known.contains(&name.as_str()), "{name}");
    }
    let open = proc::descriptors(pid).expect("its descriptors");
    for (fd, target) in &open {
        let text = target.to_string_lossy();
        if *fd < 3 {
            assert_eq!(text, "/dev/null", "{open:?}");
            continue;
        }
        let own = text.starts_with("socket:")
            || text.starts_with("anon_inode:")
            || target.starts_with(home.vault.parent().expect("a folder"))
            || target.starts_with(home.socket.parent().expect("a folder"))
            // Random bytes, where the program is static and the crate for them looks
            // for the system call in vain.
            || ["/dev/null", "/dev/urandom"].contains(&&*text);
        assert!(own && *target != marker, "{fd}: {open:?}");
    }
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).expect("its folder");
    assert_eq!(cwd, Path::new("/"));
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    assert!(status.lines().any(|l| l == "Umask:\t0077"), "{status}");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("its limits");
    let core = limits
        .lines()
        .find(|l| l.starts_with("Max core file size"))
        .expect("a line");
    assert_eq!(
        core.split_whitespace().nth(4),
        Some("0"),
        "no cores: {core}"
    );
}

#[test]
fn signals_end_it_in_an_orderly_way() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let home = stopped();
        let mut agent = home.start_agent();
        home.unlock();
        let mut idle = home.connect();
        home.connect()
            .add("b", b"written before the signal")
            .expect("added");
        agent.signal(signal);
        let status = agent.wait();
        assert_eq!(status.code(), Some(0), "signal {signal}: {}", agent.log());
        assert!(!home.socket.exists(), "the socket went with it");
        let mut rest = Vec::new();
        // A reset connection is as closed.
        let _ = idle.stream.read_to_end(&mut rest);
        assert_eq!(rest, b"");
        let wal = PathBuf::from(format!("{}-wal", home.vault.display()));
        assert!(
            fs::metadata(&wal).map_or(0, |m| m.len()) == 0,
            "the vault is one file again"
        );
        home.unlock();
        assert_eq!(home.get("b"), b"written before the signal");
    }
}

#[test]
fn the_service_manager_is_told() {
    let home = stopped();
    let path = home.root.join("notify.sock");
    let notify = UnixDatagram::bind(&path).expect("a socket");
    notify.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut command = home.agent_command();
    command.env("NOTIFY_SOCKET", &path);
    let mut agent = Agent::start(&home, command);
    let mut buffer = [0; 4096];
    let mut message = || {
        let n = notify.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    let text = message();
    assert!(text.lines().any(|l| l == "READY=1"), "{text:?}");
    agent.signal(libc::SIGTERM);
    assert_eq!(agent.wait().code(), Some(0));
    let mut text = message();
    while !text.lines().any(|l| l == "STOPPING=1") {
        text = message();
    }
}

#[test]
fn started_by_the_socket_unit() {
    let home = stopped();
    let folder = home.socket.parent().expect("a folder");
    let mut command = home.command("systemd-socket-activate");
    command
        .arg("--fdname=sv")
        .arg("-l")
        .arg(&home.socket)
        .arg(AGENT)
        .arg("--vault")
        .arg(&home.vault)
        .arg("--socket")
        .arg(&home.socket);
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("a mode");
    let agent = Agent::start(&home, command);
    home.sv("unlock --password-stdin --no-autostart")
        .line(PASSWORD)
        .ok();
    assert_eq!(
        home.pid(),
        agent.child.id(),
        "the process that the manager started"
    );
    assert_eq!(home.get("a"), b"1");
    let children = proc::agents(&home.root);
    assert_eq!(children, [agent.child.id()], "{}", agent.log());
    // The socket is the manager's: it stays, and the next connection starts an agent.
    home.sv("agent stop").ok();
    assert!(
        home.socket.exists(),
        "the socket belongs to the service manager"
    );
}

#[test]
fn by_hand_beside_a_running_agent() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let first = home.pid();
    let out = home
        .agent_command()
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let err = String::from_utf8_lossy(&out.stderr);
    assert_ne!(out.status.code(), Some(0), "{err}");
    let lines = err.lines().filter(|l| l.starts_with("sv-agent: ")).count();
    assert_eq!(lines, 1, "one clear line: {err}");
    let out = home
        .agent_command()
        .arg("--detach")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    assert_eq!(out.status.code(), Some(75), "the client only tries again");
    assert_eq!((out.stdout.len(), out.stderr.len()), (0, 0));
    assert_eq!(home.pid(), first);
    assert_eq!(home.get("a"), b"1");
}

#[test]
fn a_client_finds_the_agent_while_it_starts() {
    // The lock is held, nothing listens yet: clients wait for the one that starts.
    let home = stopped();
    let mut agent = home.agent_command();
    agent
        .arg0("sv-agent")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = agent.spawn().expect("the agent starts");
    let pid = child.id();
    home.unlock();
    let answered = home.pid();
    wait_until("one agent is left", PATIENCE, || {
        (proc::agents(&home.root) == [answered]).then_some(())
    });
    let mut child = child;
    if answered == pid {
        sys::kill(pid, libc::SIGTERM).expect("a signal");
    }
    child.wait().expect("its end");
}
