//! Other users. Both ways: one who asks our agent, one whose socket we find.

mod common;

use common::{
    AGENT, Call, Home, SV,
    client::{self, Client},
    sys, wait_until,
};
use std::{
    fs,
    io::{self, Read},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};
use sv_proto::{Kind, Request, Response, Secret};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Lets everybody reach `path` from the home's root on.
fn open_up(home: &Home, path: &Path) {
    for folder in path
        .ancestors()
        .skip(1)
        .take_while(|p| p.starts_with(&home.root))
    {
        mode(folder, 0o777);
    }
    mode(path, 0o777);
}

#[test]
fn another_user_is_refused_whatever_the_modes() {
    let home = Home::with_vault();
    home.add("a", b"canary-value");
    open_up(&home, &home.socket);
    let password = || Secret::new(common::PASSWORD.into());
    let requests: Vec<fn(Secret) -> Request> = vec![
        |_| Request::Status,
        |_| client::get("a"),
        |_| client::add("b", b"x"),
        |password| Request::Unlock {
            password,
            seconds: None,
        },
        |_| Request::Lock,
        |_| Request::Stop,
    ];
    sys::as_nobody(|| {
        for request in requests {
            let request = request(password());
            let label = request.label();
            let mut client = Client::connect(&home.socket).expect("the socket is open to all");
            // It is refused before its request was read, perhaps before it was sent.
            let _ = client.send(request);
            let mut answer = client.receive(0).expect("the reason is told");
            match answer.pop() {
                Some(Response::Failed(failure)) => {
                    assert_eq!(failure.kind, Kind::Refused, "{label}")
                }
                other => panic!("{label}: {other:?}"),
            }
            let mut rest = Vec::new();
            // What the agent left unread resets the connection instead.
            let end = client.stream.read_to_end(&mut rest);
            let closed =
                end.map_or_else(|e| e.kind() == io::ErrorKind::ConnectionReset, |n| n == 0);
            assert!(closed, "{label}: closed after the refusal");
        }
    });
    // The owner is served as before.
    let mut owner = home.connect();
    assert_eq!(owner.get("a").expect("the value"), b"canary-value");
    assert_eq!(owner.items().len(), 1);
}

#[test]
fn the_real_client_of_another_user_says_so() {
    let home = Home::with_vault();
    home.add("a", b"canary-value");
    open_up(&home, &home.socket);
    // The programs may be where that user can't read them.
    let bin = home.root.join("bin");
    fs::create_dir(&bin).expect("a folder");
    mode(&bin, 0o755);
    for program in [SV, AGENT] {
        let copy = bin.join(Path::new(program).file_name().expect("a name"));
        fs::copy(program, &copy).expect("a copy");
        mode(&copy, 0o755);
    }
    let nobody = |arguments: &[&str]| {
        let mut command = home.command("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(bin.join("sv"))
            .args(arguments)
            .env("XDG_CONFIG_HOME", home.root.join("run"));
        Call::new(command)
    };
    for arguments in [
        &["get", "a"][..],
        &["status"],
        &["status", "--check"],
        &["lock"],
        &["agent", "stop"],
        &["add", "b", "--generate"],
    ] {
        let err = nobody(arguments).fails(7);
        assert!(!err.contains("canary"), "{err}");
    }
    nobody(&["unlock", "--password-stdin"])
        .line(common::PASSWORD)
        .fails(7);
    // Without the rights to connect, the answer is the same.
    mode(&home.socket, 0o600);
    nobody(&["get", "a"]).fails(7);
    assert_eq!(home.get("a"), b"canary-value");
    assert_eq!(home.sv("list").text(), "a\n");
}

#[test]
fn a_socket_served_by_another_user_gets_nothing() {
    let home = Home::with_vault();
    home.sv("agent stop").ok();
    let folder = home.socket.parent().expect("a folder");
    mode(&home.root, 0o711);
    mode(&home.root.join("run"), 0o711);
    mode(folder, 0o777);
    // The peer of a connection is who called listen(2).
    let listener = sys::as_nobody(|| UnixListener::bind(&home.socket)).expect("a socket");
    mode(&home.socket, 0o777);
    listener.set_nonblocking(true).expect("a flag");

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut connections = 0;
            let mut received = Vec::new();
            loop {
                let last = stop.load(Ordering::Relaxed);
                match listener.accept() {
                    Ok((mut stream, _)) => {
                        connections += 1;
                        stream.set_nonblocking(false).expect("a flag");
                        stream
                            .set_read_timeout(Some(Duration::from_secs(10)))
                            .expect("a time");
                        // A client that hangs up with an error has sent nothing either.
                        let _ = stream.read_to_end(&mut received);
                    }
                    Err(_) if last => break,
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
            (connections, received)
        });
        let calls = [
            ("get a", 7),
            ("unlock --password-stdin", 7),
            ("init --password-stdin", 7),
            ("add b", 7),
            ("status", 7),
            ("lock", 7),
            ("agent stop", 7),
            ("status --check", 7),
        ];
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for (arguments, code) in calls {
                let err = home.sv(arguments).line("canary-password").fails(code);
                assert!(!err.contains("canary"), "{err}");
            }
        }));
        stop.store(true, Ordering::Relaxed);
        let (connections, received) = server.join().expect("the server");
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
        assert!(
            connections >= calls.len(),
            "every call came here: {connections}"
        );
        assert_eq!(received, b"", "nothing was sent");
    });
    assert!(
        common::proc::agents(&home.root).is_empty(),
        "no agent was started over it"
    );
}

#[test]
fn an_agent_does_not_serve_from_a_folder_of_others() {
    let home = Home::with_vault();
    home.sv("agent stop").ok();
    let folder = home.socket.parent().expect("a folder");
    for wrong in [0o777, 0o770, 0o702] {
        mode(folder, wrong);
        home.sv("unlock --password-stdin")
            .line(common::PASSWORD)
            .fails(7);
        assert!(!home.socket.exists());
    }
    mode(folder, 0o700);
    std::os::unix::fs::chown(folder, Some(65534), Some(65534)).expect("another owner");
    home.sv("unlock --password-stdin")
        .line(common::PASSWORD)
        .fails(7);
    assert!(!home.socket.exists());
    std::os::unix::fs::chown(folder, Some(0), Some(0)).expect("the owner again");
    home.unlock();
}

#[test]
fn a_vault_in_a_folder_of_others_is_refused() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("agent stop").ok();
    let folder = home.vault.parent().expect("a folder");
    mode(folder, 0o777);
    home.sv("unlock --password-stdin")
        .line(common::PASSWORD)
        .fails(7);
    mode(folder, 0o700);
    home.unlock();
    assert_eq!(home.get("a"), b"1");
}

#[test]
fn an_ordinary_user_is_served() {
    // All other tests run as root, who passes every check of the kernel.
    let home = Home::new();
    mode(&home.root, 0o711);
    let bin = home.root.join("bin");
    fs::create_dir(&bin).expect("a folder");
    mode(&bin, 0o755);
    for program in [SV, AGENT] {
        let copy = bin.join(Path::new(program).file_name().expect("a name"));
        fs::copy(program, &copy).expect("a copy");
        mode(&copy, 0o755);
    }
    let own = home.root.join("own");
    fs::create_dir(&own).expect("a folder");
    mode(&own, 0o700);
    std::os::unix::fs::chown(&own, Some(65534), Some(65534)).expect("an owner");
    let nobody = |arguments: &str| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(bin.join("sv"))
            .args(arguments.split(' '))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &own)
            .current_dir("/");
        Call::new(command)
    };
    nobody("init --password-stdin").line(common::PASSWORD).ok();
    assert!(own.join(".local/share/sv/vault.sv").exists());
    assert!(
        own.join(".local/state/sv/agent.sock").exists(),
        "no runtime directory was named"
    );
    nobody("add a").input(b"1").ok();
    nobody("lock").ok();
    nobody("get a").fails(3);
    nobody("unlock --password-stdin")
        .line(common::PASSWORD)
        .ok();
    assert_eq!(nobody("get a").ok(), b"1");
    let status = nobody("status --json").json();
    eprintln!("key memory of an ordinary user: {}", status["key_memory"]);
    let pid = u32::try_from(status["pid"].as_u64().expect("a number")).expect("a pid");
    nobody("agent stop").ok();
    wait_until("the agent is gone", Duration::from_secs(10), || {
        (!common::proc::alive(pid)).then_some(())
    });
}

#[test]
fn root_does_not_use_the_agent_of_another_user() {
    let home = Home::new();
    mode(&home.root, 0o711);
    let listener_home = home.root.join("theirs");
    fs::create_dir(&listener_home).expect("a folder");
    mode(&listener_home, 0o777);
    let socket = listener_home.join("agent.sock");
    let _listener = sys::as_nobody(|| UnixListener::bind(&socket)).expect("a socket");
    home.sv_args(["status", "--socket"]).arg(&socket).fails(7);
}
