//! The files of the audit log: what `sv audit --verify` finds, and what killed
//! agents, failing and full disks leave of it.

mod common;

use common::{
    Home, PASSWORD,
    client::{self, kind},
    files,
    log::{all, is_whole, log, stop, verify},
    proc, sys, wait_until,
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use sv_proto::{
    Kind, Request, Response,
    message::{Event, Outcome},
};

/// Where each record of a file begins and ends, by the lengths at their ends.
fn records(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut end = bytes.len();
    let mut all = Vec::new();
    while end > 0 {
        let length = u32::from_le_bytes(bytes[end - 4..end].try_into().expect("four"));
        let start = end - usize::try_from(length).expect("small");
        all.push((start, end));
        end = start;
    }
    all.reverse();
    all
}

#[test]
fn verify_finds_each_manipulation() {
    let home = Home::with_vault();
    for i in 0..6 {
        home.add(&format!("n{i}"), b"v");
        home.get(&format!("n{i}"));
    }
    home.sv("lock").ok();
    stop(&home);
    let path = log(&home);
    let good = fs::read(&path).expect("the log");
    let vault = fs::read(&home.vault).expect("the vault");
    let at = records(&good);
    // One beginning, init, twelve, lock.
    assert_eq!(at.len(), 15);
    let without = |gone: std::ops::Range<usize>| {
        let mut bytes = good.clone();
        bytes.drain(at[gone.start].0..at[gone.end - 1].1);
        bytes
    };
    let swapped = |i: usize| {
        let piece = |i: usize| good[at[i].0..at[i].1].to_vec();
        let (before, behind) = (good[..at[i].0].to_vec(), good[at[i + 1].1..].to_vec());
        [before, piece(i + 1), piece(i), behind].concat()
    };
    let twice = |i: usize| {
        let (head, tail) = good.split_at(at[i].1);
        [head, &good[at[i].0..at[i].1], tail].concat()
    };
    let mut changed = Vec::new();
    for (name, i, offset) in [
        ("body", 4, 40),
        ("mac", 6, at[6].1 - at[6].0 - 20),
        ("last", 14, 40),
    ] {
        let mut bytes = good.clone();
        bytes[at[i].0 + offset] ^= 4;
        changed.push((name, bytes));
    }
    let mut cases = vec![
        ("one removed", without(5..6)),
        ("some removed", without(5..9)),
        ("the first removed", without(1..2)),
        ("the beginning removed", without(0..1)),
        ("two swapped", swapped(7)),
        ("one twice", twice(8)),
        ("the end cut off", good[..at[10].1].to_vec()),
        ("the last cut off", good[..at[13].1].to_vec()),
        ("the last torn", good[..at[14].1 - 9].to_vec()),
        ("emptied", Vec::new()),
        ("junk", vec![0x77; good.len()]),
        (
            "junk inside",
            [&good[..at[3].1], &[9; 77][..], &good[at[3].1..]].concat(),
        ),
    ];
    cases.append(&mut changed);
    for (what, bytes) in cases {
        // As it was before each: opening writes to both.
        fs::write(&home.vault, &vault).expect("the vault");
        for (extra, _) in files(home.vault.parent().expect("a folder")) {
            if extra.to_string_lossy().contains(".audit.") {
                fs::remove_file(extra).expect("removed");
            }
        }
        fs::write(&path, &bytes).expect("the log");
        home.unlock();
        let (code, lines) = verify(&home);
        assert_eq!(code, 8, "{what}: {lines:?}");
        assert!(!lines.is_empty() && lines.len() <= 4, "{what}: {lines:?}");
        let json = home.sv("audit --verify --json").run();
        assert_eq!(json.code(), 8);
        let json: Value = serde_json::from_slice(&json.out).expect("a document");
        assert_eq!(json["ok"], false);
        assert_eq!(
            json["problems"].as_array().expect("a list").len(),
            lines.len()
        );
        // The vault itself is served all the same.
        assert_eq!(home.get("n1"), b"v", "{what}");
        stop(&home);
    }
    fs::write(&home.vault, &vault).expect("the vault");
    fs::write(&path, &good).expect("the log");
    home.unlock();
    is_whole(&home);
    // And a file that is gone.
    stop(&home);
    fs::remove_file(&path).expect("removed");
    home.unlock();
    let (code, lines) = verify(&home);
    assert_eq!(code, 8);
    assert!(lines[0].contains("missing"), "{lines:?}");
}

#[test]
fn a_log_that_is_cut_while_the_agent_runs_is_noticed() {
    let home = Home::with_vault();
    home.add("a", b"v");
    for _ in 0..5 {
        home.get("a");
    }
    let path = log(&home);
    let bytes = fs::read(&path).expect("the log");
    let at = records(&bytes);
    let file = fs::File::options()
        .write(true)
        .open(&path)
        .expect("the log");
    file.set_len(at[4].1 as u64).expect("cut");
    // Reading is an event, which has its place behind the gap.
    assert_eq!(home.get("a"), b"v");
    let (code, lines) = verify(&home);
    assert_eq!(code, 8);
    assert!(lines[0].starts_with("events 5 to "), "{lines:?}");
    // Removed, too; and what comes later is there.
    fs::remove_file(&path).expect("removed");
    home.get("a");
    assert!(path.exists());
    assert_eq!(verify(&home).0, 8);
    assert_eq!(all(&home).last().expect("an event").action, "audit-verify");
}

#[test]
fn kill_loses_no_event() {
    let home = Home::with_vault();
    let mut expected = vec!["init".to_owned()];
    for round in 0..6 {
        let mut client = home.connect();
        for i in 0..20 {
            let name = format!("r{round}/n{i}");
            client.add(&name, b"v").expect("added");
            expected.push("add".to_owned());
            client.get(&name).expect("a value");
            expected.push("get".to_owned());
        }
        home.kill_agent();
        home.unlock();
        expected.push("unlock".to_owned());
        let actions: Vec<String> = all(&home).into_iter().map(|e| e.action).collect();
        assert_eq!(actions, expected, "round {round}");
    }
    is_whole(&home);
}

#[test]
fn reads_are_on_the_disk_within_a_second() {
    let home = Home::with_vault();
    home.add("a", b"v");
    let trace = home.root.join("trace");
    let mut strace = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fdatasync,pwrite64", "-o"])
        .arg(&trace)
        .args(["-p", &home.pid().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace starts");
    let mut lines = BufReader::new(strace.stderr.take().expect("a pipe")).lines();
    let attached = lines.next().expect("a line").expect("text");
    assert!(attached.contains("attached"), "{attached}");
    home.get("a");
    let name = log(&home);
    let name = name.to_string_lossy();
    let of = |call: &str| {
        let text = fs::read_to_string(&trace).unwrap_or_default();
        text.lines().any(|l| l.contains(call) && l.contains(&*name))
    };
    wait_until("written", Duration::from_secs(1), || {
        of("pwrite64").then_some(())
    });
    wait_until("synced", Duration::from_secs(1), || {
        of("fdatasync").then_some(())
    });
    sys::kill(strace.id(), libc::SIGTERM).expect("a signal");
    strace.wait().expect("it ends");
}

/// A tmpfs that goes with the value. The calling thread has to have its own mounts.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, options: &str) -> Self {
        sys::private_mounts().expect("these tests run as root");
        fs::create_dir_all(at).expect("a folder");
        sys::mount_tmpfs(at, options, 0).expect("a tmpfs");
        Self(at.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        sys::unmount(&self.0).expect("it was mounted");
    }
}

#[test]
fn a_full_disk_fails_the_request_when_its_event_has_no_room() {
    let home = Home::new();
    let disk = Tmpfs::mount(&home.root.join("data/sv"), "mode=0700,size=4m");
    home.init();
    home.add("a", b"v");
    // Nothing is left but what the log has taken ahead.
    let filler = fs::File::create(disk.0.join("filler")).expect("a file");
    let fill = || {
        let mut size = filler.metadata().expect("its length").len();
        while filler.write_all_at(&[1; 4096], size).is_ok() {
            size += 4096;
            assert!(size < 8 << 20, "4 MiB are never full");
        }
    };
    fill();
    let mut client = home.connect();
    let mut served = 0;
    let failure = loop {
        match client.get("a") {
            Ok(value) => assert_eq!(value, b"v"),
            Err(failure) => break failure,
        }
        served += 1;
        assert!(served < 20_000, "the log never needs room");
    };
    assert_eq!(failure.kind, Kind::Storage);
    assert!(
        served > 300,
        "a full disk does not stop reads at once: {served}"
    );
    for request in [
        Request::History { name: "a".into() },
        Request::Verify,
        client::add("b", b"x"),
    ] {
        let label = request.label();
        let answer = client.exchange(request).expect("an answer");
        match &answer[..] {
            [Response::Failed(failure)] => assert_eq!(failure.kind, Kind::Storage, "{label}"),
            other => panic!("{label}: nothing else may leave: {other:?}"),
        }
    }
    // Keys go, whether it can be told or not; and they don't come back untold.
    assert_eq!(kind(client.ask(Request::Lock)), Kind::Storage);
    assert_eq!(home.status()["state"], "locked");
    // Locking has given room back.
    fill();
    assert_eq!(kind(client.unlock(PASSWORD.as_bytes())), Kind::Storage);
    assert_eq!(home.status()["state"], "locked");
    filler.set_len(0).expect("room");
    home.unlock();
    assert_eq!(home.get("a"), b"v");
    assert_eq!(kind(client.get("b")), Kind::NoSecret);
    is_whole(&home);
    let gets = all(&home);
    let ok = |e: &&Event| e.action == "get" && e.outcome == Outcome::Ok;
    assert_eq!(
        gets.iter().filter(ok).count(),
        served + 1,
        "one for each answer"
    );
    stop(&home);
}

/// The agent in the foreground under strace, which makes some calls on the log fail.
fn injected(home: &Home, inject: &str) -> common::Agent {
    let mut command = home.command("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-P"])
        .arg(log(home))
        .args(["-e", inject, "--"])
        .arg(common::AGENT)
        .arg("--vault")
        .arg(&home.vault)
        .arg("--socket")
        .arg(&home.socket);
    common::Agent::start(home, command)
}

#[test]
fn a_failing_disk_fails_requests_and_loses_nothing_that_was_answered() {
    for (inject, least) in [
        ("inject=pwrite64:error=ENOSPC:when=3+4", 2),
        ("inject=pwrite64:error=EIO:when=2+3", 1),
        ("inject=fdatasync:error=EIO:when=1..3", 0),
        ("inject=fallocate:error=ENOSPC", 0),
        ("inject=fallocate:error=EOPNOTSUPP", 0),
        ("inject=ftruncate:error=EIO", 0),
    ] {
        let home = Home::with_vault();
        home.add("a", b"v");
        stop(&home);
        let agent = injected(&home, inject);
        let mut client = home.connect();
        let mut failed = 0;
        let mut answered = Vec::new();
        let mut note = |action: &str, outcome: Result<(), sv_proto::message::Failure>| match outcome
        {
            Ok(()) => answered.push(action.to_owned()),
            Err(failure) => {
                assert_eq!(failure.kind, Kind::Storage, "{inject}: {action}");
                failed += 1;
            }
        };
        while let Err(failure) = client.unlock(PASSWORD.as_bytes()) {
            note("unlock", Err(failure));
        }
        note("unlock", Ok(()));
        for i in 0..12 {
            note("get", client.get("a").map(drop));
            // A write is durable with its transaction, whatever the log's file does.
            note("add", client.add(&format!("n{i}"), b"v").map(drop));
            if i % 4 == 0 {
                thread::sleep(Duration::from_millis(500));
            }
        }
        // Before: init, add, lock. The last one may wait for the file.
        wait_until("all are told", Duration::from_secs(5), || {
            let told: Vec<String> = all(&home).into_iter().map(|e| e.action).collect();
            (told[3..] == answered).then_some(())
        });
        assert!(failed >= least, "{inject}: {failed} failed");
        proc::agents(&home.root).into_iter().for_each(proc::end);
        drop(agent);
        home.unlock();
        let told: Vec<String> = all(&home).into_iter().map(|e| e.action).collect();
        assert_eq!(told[3..told.len() - 1], answered, "{inject}");
        is_whole(&home);
    }
}

#[test]
fn a_full_file_is_followed_by_another() {
    let home = Home::with_vault();
    let mut client = home.connect();
    // Names of a kilobyte fill 16 MiB sooner; none of them is there.
    let name = |i: u32| format!("{i:06}/{}", "x".repeat(1000));
    let second = PathBuf::from(format!("{}.000001", log(&home).display()));
    let mut written = 0;
    while !second.exists() {
        assert_eq!(kind(client.get(&name(written))), Kind::NoSecret);
        written += 1;
        assert!(written < 20_000, "16 MiB are full long before");
    }
    let size = fs::metadata(&second).expect("the full one").len();
    assert!((16 << 20..17 << 20).contains(&size), "{size}");
    let last_one = name(written - 1);
    let found = home
        .sv_args(["audit", "--json", "--name", &last_one])
        .json();
    assert_eq!(found.as_array().expect("a list").len(), 1);
    let first = home.sv_args(["audit", "--json", "--name", &name(0)]).json();
    assert_eq!(first[0]["seq"], 2);
    is_whole(&home);
    stop(&home);
    home.unlock();
    is_whole(&home);
    fs::remove_file(&second).expect("removed");
    let (code, lines) = verify(&home);
    assert_eq!(code, 8);
    assert!(lines[0].starts_with("events 1 to "), "{lines:?}");
}
