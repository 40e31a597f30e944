//! What bad input and bad luck get: one clear line, the right code, nothing
//! lost and nothing changed.

mod common;

use common::{Home, PASSWORD, client, files, proc, random::Random, sys, wait_until};
use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use sv_proto::{Kind, Request, frame::Versions};

/// A tmpfs that goes with the value. The calling thread has to have its own mounts.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, options: &str) -> Self {
        sys::private_mounts().expect("these tests run as root");
        fs::create_dir_all(at).expect("a folder");
        sys::mount_tmpfs(at, options, 0).expect("a tmpfs");
        Self(at.to_owned())
    }

    fn read_only(&self, yes: bool) {
        let flags = libc::MS_REMOUNT | if yes { libc::MS_RDONLY } else { 0 };
        // Until the last descriptor that could write is closed, it is busy.
        wait_until("mounted anew", Duration::from_secs(10), || {
            sys::mount_tmpfs(&self.0, "", flags).ok()
        });
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        sys::unmount(&self.0).expect("it was mounted");
    }
}

#[test]
fn a_read_only_disk() {
    let home = Home::new();
    let disk = Tmpfs::mount(&home.root.join("data/sv"), "mode=0700,size=16m");
    home.init();
    home.add("a", b"value");
    home.sv("agent stop").ok();
    disk.read_only(true);

    home.unlock();
    let before = files(&disk.0);
    assert_eq!(home.get("a"), b"value");
    assert_eq!(home.sv("list").text(), "a\n");
    home.sv("verify").ok();
    for command in [
        "add b",
        "update a",
        "delete a --yes",
        "rename a b",
        "revert a --rev 1",
    ] {
        home.sv(command).input(b"x").fails(10);
    }
    let lines = format!("{PASSWORD}\nnew\n");
    home.sv("passwd --password-stdin")
        .input(lines.as_bytes())
        .fails(10);
    assert_eq!(home.get("a"), b"value", "reading goes on");
    home.sv("lock").ok();
    home.unlock();
    assert_eq!(home.get("a"), b"value");
    assert_eq!(files(&disk.0), before);
    home.sv("agent stop").ok();

    disk.read_only(false);
    home.unlock();
    home.sv("update a").input(b"again").ok();
    assert_eq!(home.get("a"), b"again");
}

#[test]
fn no_vault_on_a_read_only_disk() {
    let home = Home::new();
    let disk = Tmpfs::mount(&home.root.join("data/sv"), "mode=0700,size=1m");
    disk.read_only(true);
    home.sv("init --password-stdin").line(PASSWORD).fails(10);
    assert_eq!(files(&disk.0), []);
}

#[test]
fn a_full_disk() {
    let home = Home::new();
    let disk = Tmpfs::mount(&home.root.join("data/sv"), "mode=0700,size=8m");
    home.init();
    // What will be taken away to make room.
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![1; 2 << 20]).expect("a file");
    let mut random = Random::new(7);
    let mut added = Vec::new();
    let failure = loop {
        let (name, value) = (format!("n{}", added.len()), random.bytes(100_000));
        let done = home.sv_args(["add", &name, "--raw"]).input(&value).run();
        if done.code() != 0 {
            break done.fails(10);
        }
        added.push((name, value));
        assert!(added.len() < 100, "8 MiB are never full");
    };
    eprintln!("full after {} secrets: {failure}", added.len());
    assert!(added.len() > 5);
    // Small ones until not even they fit, and everything else that writes.
    let refused = (0..2000).find(|i| {
        let done = home
            .sv_args(["add", &format!("small{i}")])
            .input(b"s")
            .run();
        assert!([0, 10].contains(&done.code()), "{}", done.err);
        done.code() == 10
    });
    let small = refused.expect("at last nothing fits");
    home.sv("update n0").input(&vec![b'x'; 200_000]).fails(10);
    for (name, value) in &added {
        assert!(home.get(name) == *value, "{name} is still there");
    }
    assert_eq!(home.sv("list").text().lines().count(), added.len() + small);

    fs::remove_file(&filler).expect("room");
    home.add("after", b"there is room again");
    assert_eq!(home.get("after"), b"there is room again");
    home.sv("verify").ok();
    home.sv("lock").ok();
    home.unlock();
    home.kill_agent();
    home.unlock();
    for (name, value) in &added {
        assert!(home.get(name) == *value, "{name} is still there");
    }
    assert_eq!(home.get("after"), b"there is room again");
    assert_eq!(
        home.sv("list").text().lines().count(),
        added.len() + small + 1
    );
    home.sv("verify").ok();
}

#[test]
fn no_room_for_a_vault() {
    let home = Home::new();
    let disk = Tmpfs::mount(&home.root.join("data/sv"), "mode=0700,size=8k");
    fs::write(disk.0.join("filler"), [1; 4096]).expect("a file");
    home.sv("init --password-stdin").line(PASSWORD).fails(10);
    assert!(!home.vault.exists(), "no half of a vault");
    fs::remove_file(disk.0.join("filler")).expect("room");
    sys::mount_tmpfs(&disk.0, "size=8m", libc::MS_REMOUNT).expect("more room");
    home.init();
    home.add("a", b"1");
}

#[test]
fn a_vanished_vault() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("update a").input(b"2").ok();
    let folder = home.vault.parent().expect("a folder");
    let away = home.root.join("away.sv");
    fs::rename(&home.vault, &away).expect("moved");

    home.sv("get a").fails(4);
    home.sv("add b").input(b"x").fails(4);
    home.sv("update a").input(b"x").fails(4);
    home.sv("unlock --password-stdin").line(PASSWORD).fails(4);
    home.sv("list").fails(4);
    home.sv("status --check").ends_with(4);
    assert_eq!(home.sv("status --json").json()["state"], "no_vault");
    assert!(
        !home.vault.exists(),
        "no new one is made: {:?}",
        files(folder)
    );

    fs::rename(&away, &home.vault).expect("moved back");
    home.unlock();
    assert_eq!(home.get("a"), b"2");
    assert_eq!(home.sv("list").text(), "a\n");
    home.sv("add b").input(b"x").ok();
    home.sv("verify").ok();
}

#[test]
fn another_vault_in_its_place() {
    let home = Home::with_vault();
    home.add("a", b"first");
    home.sv("lock").ok();
    let other = Home::new();
    other
        .sv("init --password-stdin")
        .line("other password")
        .ok();
    other.add("a", b"second");
    other.sv("agent stop").ok();
    home.unlock();

    // The open one is replaced, as by a restore from a backup.
    let kept = home.root.join("kept.sv");
    fs::rename(&home.vault, &kept).expect("moved");
    fs::copy(&other.vault, &home.vault).expect("a copy");
    let done = home.sv("get a").run();
    assert!(
        [3, 4].contains(&done.code()),
        "{}: {}",
        done.code(),
        done.err
    );
    assert!(!common::holds(&done.out, b"first"));
    home.sv("unlock --password-stdin").line(PASSWORD).fails(6);
    home.sv("unlock --password-stdin")
        .line("other password")
        .ok();
    assert_eq!(home.get("a"), b"second");
}

#[test]
fn a_vault_from_a_newer_version() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("agent stop").ok();
    let ours = fs::read(&home.vault).expect("the vault");
    // The user_version of an SQLite file: big-endian, at offset 60.
    assert_eq!(ours[60..64], 1_u32.to_be_bytes());
    for version in [2_u32, 0x7fff_ffff] {
        let mut newer = ours.clone();
        newer[60..64].copy_from_slice(&version.to_be_bytes());
        fs::write(&home.vault, &newer).expect("writing");
        for command in ["unlock --password-stdin", "passwd --password-stdin"] {
            let lines = format!("{PASSWORD}\nnew\n");
            home.sv(command).input(lines.as_bytes()).fails(11);
        }
        home.sv("agent stop").ok();
        assert!(
            fs::read(&home.vault).expect("the vault") == newer,
            "left as it was"
        );
    }
    fs::write(&home.vault, &ours).expect("writing");
    home.unlock();
    assert_eq!(home.get("a"), b"1");
}

/// A server on the home's socket that answers each connection's first bytes with `answer`.
fn impostor(home: &Home, answer: &'static [u8], calls: &[(&str, i32)]) {
    let folder = home.socket.parent().expect("a folder");
    fs::create_dir_all(folder).expect("a folder");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("a mode");
    let listener = UnixListener::bind(&home.socket).expect("a socket");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut buffer = [0; 65536];
            // A client may leave at any time.
            if matches!(stream.read(&mut buffer), Ok(1..)) {
                let _ = stream.write_all(answer);
            }
        }
    });
    for (arguments, code) in calls {
        home.sv(arguments).line(PASSWORD).fails(*code);
    }
    assert!(
        proc::agents(&home.root).is_empty(),
        "no second agent is started over it"
    );
}

#[test]
fn an_agent_of_another_version() {
    let calls = [
        ("get a", 11),
        ("status", 11),
        ("list", 11),
        ("unlock --password-stdin", 11),
        ("add a", 11),
        ("verify", 11),
    ];
    // It tells which versions it speaks, for any request id.
    let told: &[u8] = &Versions { min: 2, max: 3 }.frame(1);
    impostor(&Home::new(), Box::leak(told.into()), &calls);
    let told: &[u8] = &Versions { min: 2, max: 3 }.frame(0);
    impostor(&Home::new(), Box::leak(told.into()), &calls);
    // It answers in its own, of which nothing but the beginning is known.
    impostor(
        &Home::new(),
        b"\x14\0\0\0\x09\0\0\0\x01\0\0\0\0\0\0\0whatever",
        &calls,
    );
}

#[test]
fn an_agent_that_talks_nonsense() {
    let calls = [("get a", 8), ("status", 8), ("list", 8), ("add a", 8)];
    // A length beyond every limit; a body that is no message.
    impostor(&Home::new(), b"\xff\xff\xff\xffgarbage", &calls);
    impostor(
        &Home::new(),
        b"\x14\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0",
        &calls,
    );
    // It hangs up instead of answering.
    impostor(
        &Home::new(),
        b"",
        &[("get a", 10), ("status", 10), ("add a", 10)],
    );
    impostor(
        &Home::new(),
        b"\x14\0\0\0\x01\0",
        &[("get a", 10), ("list", 10)],
    );
}

#[test]
fn a_request_of_another_version() {
    let home = Home::with_vault();
    let mut client = home.connect();
    client
        .stream
        .write_all(b"\x10\0\0\0\x09\0\0\0\x2a\0\0\0\0\0\0\0abcd")
        .expect("sent");
    let mut answer = Vec::new();
    client
        .stream
        .read_to_end(&mut answer)
        .expect("it answers and closes");
    assert_eq!(answer, Versions::OURS.frame(42));
    assert_eq!(home.status()["locked"], false);
}

#[test]
fn an_agent_that_serves_another_vault() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let other = home.root.join("other.sv");
    home.shell(r#"exec "$SV" init --password-stdin --socket other/agent.sock --vault other.sv"#)
        .line("other password")
        .ok();
    for command in ["get a", "list", "add b", "lock", "unlock --password-stdin"] {
        let err = home
            .sv(command)
            .arg("--vault")
            .arg(&other)
            .input(b"x\n")
            .fails(1);
        assert!(err.contains("vault"), "{err}");
        assert!(err.contains("hint: "), "the way out is told: {err}");
    }
    assert_eq!(home.get("a"), b"1", "nothing was locked or changed");
    assert_eq!(home.sv("list").text(), "a\n");
    // The same file by another path is the same vault.
    let link = home.root.join("link.sv");
    std::os::unix::fs::symlink(&home.vault, &link).expect("a link");
    assert_eq!(home.sv("get a").arg("--vault").arg(&link).ok(), b"1");
    assert_eq!(home.sv("get a").env("SV_VAULT", &home.vault).ok(), b"1");
}

#[test]
fn two_agents_for_one_vault() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let first = home.pid();
    let second = home.root.join("second/agent.sock");
    let err = home
        .sv("unlock --password-stdin --socket")
        .arg(&second)
        .line(PASSWORD)
        .fails(1);
    assert!(
        err.contains(&first.to_string()),
        "it says who has it: {err}"
    );
    let lines = format!("{PASSWORD}\nnew\n");
    home.sv("passwd --password-stdin --socket")
        .arg(&second)
        .input(lines.as_bytes())
        .fails(1);
    home.sv("add b").input(b"2").ok();
    assert_eq!(home.get("a"), b"1");
    assert_eq!(home.get("b"), b"2");
    home.sv("verify").ok();
    // When the first is gone the second has it.
    home.sv("agent stop").ok();
    home.sv("unlock --password-stdin --socket")
        .arg(&second)
        .line(PASSWORD)
        .ok();
    assert_eq!(home.sv("get b --socket").arg(&second).ok(), b"2");
}

#[test]
fn a_stale_socket() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("agent stop").ok();
    drop(UnixListener::bind(&home.socket).expect("a socket"));
    let kind = fs::symlink_metadata(&home.socket)
        .expect("left behind")
        .file_type();
    assert!(kind.is_socket());
    home.sv("get a --no-autostart").fails(3);
    home.sv("lock").ok();
    home.sv("status --check").ends_with(3);
    home.unlock();
    assert_eq!(home.get("a"), b"1");
}

#[test]
fn requests_that_no_client_of_ours_sends() {
    let home = Home::with_vault();
    let mut client = home.connect();
    client.add("a", b"1").expect("added");
    // What the client checks, the agent checks as well.
    let long = "n".repeat(1025);
    for name in ["", "/a", "a/", "a//b", "..", "a\nb", long.as_str()] {
        assert_eq!(
            client::kind(client.add(name, b"x")),
            Kind::Usage,
            "{name:?}"
        );
        assert_eq!(client::kind(client.get(name)), Kind::Usage, "{name:?}");
        let renamed = client.ask(Request::Rename {
            old: "a".into(),
            new: name.into(),
        });
        assert_eq!(client::kind(renamed), Kind::Usage, "{name:?}");
    }
    assert_eq!(
        client::kind(client.add("big", &vec![0; (1 << 20) + 1])),
        Kind::Usage
    );
    assert_eq!(client.add("large", &vec![0; 1 << 20]).expect("added"), 1);
    let items = client.items();
    assert_eq!(items.len(), 2);
    assert_eq!((items[0].name.as_str(), items[0].rev), ("a", 1));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let home = Home::with_vault();
    let mut client = home.connect();
    let mut ids = Vec::new();
    for i in 0..50 {
        let (name, value) = (format!("n{i}"), format!("v{i}"));
        ids.push((
            client
                .send(client::add(&name, value.as_bytes()))
                .expect("sent"),
            None,
        ));
        ids.push((client.send(client::get(&name)).expect("sent"), Some(value)));
    }
    for (id, value) in ids {
        let answer = client.receive(id).expect("an answer");
        match (value, &answer[0]) {
            (None, sv_proto::Response::Changed { rev: 1 }) => {}
            (Some(value), sv_proto::Response::Value(v)) => assert_eq!(v.expose(), value.as_bytes()),
            (_, other) => panic!("{other:?}"),
        }
    }
}
