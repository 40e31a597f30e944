//! The audit log with the real programs: what leaves an event, who is named in
//! it, what is never in it, and what `sv audit --verify` finds.

mod common;

use common::{
    Home, PASSWORD, SV,
    client::{self, Client, kind},
    files, holds, proc, sys, wait_until,
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use sv_proto::{
    Kind, Request, Response, Secret,
    message::{Event, HolderKind, Key, KeyKind, Outcome},
};

/// The log of a home.
fn log(home: &Home) -> PathBuf {
    let mut name = home.vault.clone().into_os_string();
    name.push(".audit");
    name.into()
}

/// Events after `after`, which leaves none itself.
fn after(client: &mut Client, after: u64) -> Vec<Event> {
    let request = Request::Audit {
        after: Some(after),
        last: None,
        since: None,
        name: None,
    };
    let answer = client.exchange(request).expect("an answer");
    answer
        .into_iter()
        .flat_map(|part| match part {
            Response::Events(events) => events,
            other => panic!("events: {other:?}"),
        })
        .collect()
}

/// All events so far.
fn all(home: &Home) -> Vec<Event> {
    after(&mut home.connect(), 0)
}

/// The number of the last event.
fn last(client: &mut Client) -> u64 {
    after(client, 0).last().map_or(0, |event| event.seq)
}

fn verify(home: &Home) -> (i32, Vec<String>) {
    let done = home.sv("audit --verify").run();
    let lines = String::from_utf8_lossy(&done.out).into_owned();
    (done.code(), lines.lines().map(str::to_owned).collect())
}

#[track_caller]
fn is_whole(home: &Home) {
    let (code, lines) = verify(home);
    assert_eq!(code, 0, "{lines:?}");
}

fn stop(home: &Home) {
    let pid = home.pid();
    home.sv("agent stop").ok();
    wait_until("the agent ends", Duration::from_secs(10), || {
        (!proc::alive(pid)).then_some(())
    });
}

#[test]
fn each_command_leaves_one_event_of_its_caller() {
    let home = Home::new();
    // The words after `sv`, its input, its exit code, the event.
    let cases: &[(&str, &str, i32, &str, &str, &str)] = &[
        ("init --password-stdin", PASSWORD, 0, "init", "", "ok"),
        ("add a/b", "v1", 0, "add", "a/b", "ok"),
        ("add a/b", "v1", 5, "add", "a/b", "exists"),
        ("get a/b", "", 0, "get", "a/b", "ok"),
        ("get a/none", "", 4, "get", "a/none", "no_secret"),
        ("get a/b --rev 7", "", 4, "get", "a/b", "no_revision"),
        ("show a/b", "", 0, "show", "a/b", "ok"),
        ("show a/b --reveal", "", 0, "reveal", "a/b", "ok"),
        ("list a/", "", 0, "list", "a/", "ok"),
        ("search b", "", 0, "search", "b", "ok"),
        ("update a/b", "v2", 0, "update", "a/b", "ok"),
        (
            "update a/b --if-rev 1",
            "v3",
            9,
            "update",
            "a/b",
            "conflict",
        ),
        ("history a/b", "", 0, "history", "a/b", "ok"),
        ("revert a/b --rev 1", "", 0, "revert", "a/b", "ok"),
        ("rename a/b c", "", 0, "rename", "a/b\0c", "ok"),
        ("delete c --yes", "", 0, "delete", "c", "ok"),
        ("revert c --rev 1", "", 0, "revert", "c", "ok"),
        ("delete c --yes --purge", "", 0, "purge", "c", "ok"),
        ("verify", "", 0, "verify", "", "ok"),
        ("audit", "", 0, "audit", "", "ok"),
        ("audit --name c", "", 0, "audit", "c", "ok"),
        ("audit --verify", "", 0, "audit-verify", "", "ok"),
        ("shares", "", 0, "dealings", "", "ok"),
        ("slot list", "", 0, "slots", "", "ok"),
        ("rotate", "", 0, "rotate", "", "ok"),
        ("lock", "", 0, "lock", "", "ok"),
        (
            "unlock --password-stdin",
            "wrong",
            6,
            "unlock",
            "",
            "wrong_password",
        ),
        ("unlock --password-stdin", PASSWORD, 0, "unlock", "", "ok"),
    ];
    let mut seen = 0;
    let mut pending = Vec::new();
    for (words, input, code, action, name, outcome) in cases {
        let mut command = home.command(SV);
        command
            .args(words.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("sv starts");
        let pid = child.id();
        std::io::Write::write_all(
            child.stdin.as_mut().expect("a pipe"),
            format!("{input}\n").as_bytes(),
        )
        .expect("its input");
        let ended = child.wait().expect("it ends");
        assert_eq!(ended.code(), Some(*code), "sv {words}");
        pending.push((pid, *words, *action, *name, *outcome));
        if home.status()["state"] != "unlocked" {
            // Looked at once that is possible again.
            continue;
        }
        let events = after(&mut home.connect(), seen);
        assert_eq!(events.len(), pending.len(), "sv {words}: {events:?}");
        for (event, (pid, words, action, name, outcome)) in events.iter().zip(pending.drain(..)) {
            seen += 1;
            assert_eq!(event.seq, seen, "sv {words}");
            assert_eq!(event.action, action, "sv {words}");
            assert_eq!(event.name, name, "sv {words}");
            let found = match event.outcome {
                Outcome::Ok => "ok",
                Outcome::Failed(kind) => kind.as_str(),
            };
            assert_eq!(found, outcome, "sv {words}");
            assert_eq!(event.asker.pid, pid, "sv {words}");
            assert_eq!(event.asker.uid, 0, "sv {words}");
            assert_eq!(event.asker.comm, "sv", "sv {words}");
            assert!(event.asker.started > 0, "sv {words}");
            assert!(!event.unauthenticated, "sv {words}");
        }
    }
    assert!(pending.is_empty());
    is_whole(&home);
}

#[test]
fn the_process_is_the_one_that_asks() {
    let home = Home::with_vault();
    home.add("a", b"v");
    let mut client = home.connect();
    let before = last(&mut client);
    client.get("a").expect("a value");
    let events = after(&mut client, before);
    let asker = &events[0].asker;
    assert_eq!(asker.pid, std::process::id());
    let stat = proc::stat(std::process::id()).expect("this process");
    // Field 22, and the list begins with field 3.
    assert_eq!(asker.started.to_string(), stat[19]);
    let text = fs::read_to_string("/proc/self/stat").expect("this process");
    let comm = text.split_once('(').and_then(|(_, r)| r.rsplit_once(')'));
    assert_eq!(Some(asker.comm.as_str()), comm.map(|(comm, _)| comm));
}

#[test]
fn requests_without_a_command_leave_their_events() {
    let home = Home::with_vault();
    home.add("a", b"v");
    let mut client = home.connect();
    let password = || Key {
        kind: KeyKind::Password,
        secret: Secret::new(PASSWORD.into()),
    };
    let set = match client.ask(Request::Deal {
        count: 3,
        threshold: 2,
    }) {
        Ok(Response::Dealing(dealing)) => dealing.set,
        other => panic!("{other:?}"),
    };
    let hex: String = set.iter().map(|b| format!("{b:02x}")).collect();
    let cases: Vec<(Request, &str, String, bool)> = vec![
        (
            Request::Deal {
                count: 3,
                threshold: 2,
            },
            "deal",
            "2 of 3".into(),
            false,
        ),
        (Request::Dealings, "dealings", String::new(), true),
        (
            Request::Share { set, index: 1 },
            "share",
            format!("{hex}/1"),
            true,
        ),
        (
            Request::Share { set, index: 9 },
            "share",
            format!("{hex}/9"),
            false,
        ),
        (
            Request::ShareDelivered {
                set,
                index: 1,
                kind: HolderKind::File,
                holder: "share-1.sv".into(),
            },
            "share-delivered",
            format!("{hex}/1 share-1.sv"),
            true,
        ),
        (
            Request::ShareVerified {
                share: Secret::new(b"no share".to_vec()),
                holder: Some("node".into()),
            },
            "share-verified",
            "node".into(),
            false,
        ),
        (
            Request::ShareCheck {
                share: Secret::new(b"no share".to_vec()),
            },
            "share-check",
            String::new(),
            false,
        ),
        (
            Request::RecoverDrill {
                shares: vec![Secret::new(b"no share".to_vec())],
            },
            "recover-drill",
            String::new(),
            false,
        ),
        (
            Request::DealCommit {
                set,
                partial: false,
            },
            "deal-commit",
            hex.clone(),
            false,
        ),
        (Request::DealCancel { set }, "deal-cancel", hex, true),
        (
            Request::CeremonyStart { seconds: 60 },
            "ceremony-start",
            String::new(),
            // No shares are in force.
            false,
        ),
        (
            Request::CeremonySubmit {
                share: Secret::new(b"no share".to_vec()),
            },
            "ceremony-submit",
            String::new(),
            false,
        ),
        (
            Request::CeremonyCancel,
            "ceremony-cancel",
            String::new(),
            false,
        ),
        (
            Request::Init {
                password: Secret::new(b"x".to_vec()),
            },
            "init",
            String::new(),
            false,
        ),
        (
            Request::SlotAdd {
                present: password(),
                new: Key {
                    kind: KeyKind::KeyFile,
                    secret: Secret::new(vec![7; 64]),
                },
                label: "stick".into(),
            },
            "slot-add",
            "stick".into(),
            true,
        ),
        (
            Request::SlotRemove { slot: [0; 16] },
            "slot-remove",
            "0".repeat(32),
            false,
        ),
        (
            Request::BackupDone {
                generation: 1,
                place: "/media/x".into(),
            },
            "backup-done",
            "/media/x".into(),
            true,
        ),
        (
            Request::Passwd {
                old: Secret::new(b"wrong".to_vec()),
                new: Secret::new(b"new".to_vec()),
            },
            "passwd",
            String::new(),
            false,
        ),
        (
            Request::Passwd {
                old: Secret::new(PASSWORD.into()),
                new: Secret::new(b"new".to_vec()),
            },
            "passwd",
            String::new(),
            true,
        ),
        (
            Request::Rotate { passwords: None },
            "rotate",
            String::new(),
            true,
        ),
        (
            Request::Backup { slots: true },
            "backup",
            String::new(),
            true,
        ),
    ];
    let mut seen = last(&mut client);
    for (request, action, name, ok) in cases {
        let label = request.label();
        let mut answer = client.exchange(request).expect("an answer");
        let answer = answer.pop().expect("a last frame");
        let failed = match &answer {
            Response::Failed(failure) => Some(failure.kind),
            _ => None,
        };
        assert_eq!(failed.is_none(), ok, "{label}: {answer:?}");
        let events = after(&mut client, seen);
        assert_eq!(events.len(), 1, "{label}: {events:?}");
        seen += 1;
        assert_eq!(events[0].seq, seen);
        assert_eq!(events[0].action, action);
        assert_eq!(events[0].name, name, "{label}");
        let wanted = failed.map_or(Outcome::Ok, Outcome::Failed);
        assert_eq!(events[0].outcome, wanted, "{label}");
    }
    is_whole(&home);
}

#[test]
fn what_uses_nothing_leaves_nothing() {
    let home = Home::with_vault();
    home.add("a", b"v");
    let mut client = home.connect();
    let before = last(&mut client);
    client.status();
    client.ask(Request::Health).expect("health");
    client.ask(Request::CeremonyStatus).expect_err("none");
    // Whether a password is needed.
    client.unlock(b"").expect("it is unlocked");
    let name = "x".repeat(2000);
    assert_eq!(kind(client.get(&name)), Kind::Usage);
    assert_eq!(after(&mut client, before), []);
    client.ask(Request::Lock).expect("locked");
    for request in [
        client::get("a"),
        client::add("b", b"x"),
        Request::Verify,
        Request::AuditVerify,
        Request::Lock,
    ] {
        // Locking what is locked is done, and uses nothing.
        let label = request.label();
        let answer = client.ask(request);
        assert_eq!(answer.is_ok(), label == "lock", "{label}");
    }
    client.unlock(b"").expect_err("it is locked");
    client.unlock(PASSWORD.as_bytes()).expect("unlocked");
    let actions: Vec<String> = after(&mut client, before)
        .into_iter()
        .map(|e| e.action)
        .collect();
    assert_eq!(actions, ["lock", "unlock"]);
}

#[test]
fn nothing_readable_is_in_the_files() {
    let home = Home::with_vault();
    home.add("canary-name/x", b"canary-value");
    home.get("canary-name/x");
    home.sv("update canary-name/x").input(b"canary-second").ok();
    home.sv("search canary-word").ok();
    home.sv("unlock --password-stdin")
        .line("canary-password")
        .ok();
    home.sv("lock").ok();
    home.sv("unlock --password-stdin")
        .line("canary-password")
        .fails(6);
    stop(&home);
    let found = files(home.vault.parent().expect("a folder"));
    let logs: Vec<_> = found
        .iter()
        .filter(|(path, _)| path.to_string_lossy().contains(".audit"))
        .collect();
    assert_eq!(logs.len(), 1);
    for (path, bytes) in &found {
        assert!(!holds(bytes, b"canary"), "{}", path.display());
    }
    let (path, bytes) = logs[0];
    assert!(bytes.len() > 1000);
    let mode = fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // The values are not even in what the log says.
    home.unlock();
    let told = home.sv("audit --last all --json").text();
    assert!(told.contains("canary-name/x") && told.contains("canary-word"));
    for value in ["canary-value", "canary-second", "canary-password"] {
        assert!(!told.contains(value), "{value}");
    }
}

#[test]
fn a_lock_by_the_agent_itself_is_told() {
    let home = Home::new();
    home.configure("[agent]\nidle_timeout = \"1s\"\n");
    home.init();
    wait_until("it locks", Duration::from_secs(20), || {
        (home.status()["state"] == "locked").then_some(())
    });
    home.unlock();
    stop(&home);
    home.unlock();
    let events = all(&home);
    let locks: Vec<_> = events.iter().filter(|e| e.action == "lock").collect();
    assert_eq!(locks[0].name, "idle");
    assert_eq!(locks[0].asker.pid, 0, "the agent itself");
    assert_eq!(locks[0].asker.comm, "");
    assert_eq!(locks[1].name, "stop");
    assert_eq!(locks[1].asker.comm, "sv", "somebody asked for it");
    is_whole(&home);
}

#[test]
fn before_the_first_unlock_events_are_marked() {
    let home = Home::with_vault();
    home.sv("lock").ok();
    home.sv("unlock --password-stdin").line("no").fails(6);
    stop(&home);
    for _ in 0..2 {
        home.sv("unlock --password-stdin").line("no").fails(6);
    }
    home.unlock();
    let marked: Vec<(String, bool)> = all(&home)
        .into_iter()
        .map(|e| (e.action, e.unauthenticated))
        .collect();
    let expected = [
        ("init", false),
        ("lock", false),
        // Locked again: the moving key is still there.
        ("unlock", false),
        ("unlock", true),
        ("unlock", true),
        ("unlock", false),
    ];
    let expected = expected.map(|(action, marked)| (action.to_owned(), marked));
    assert_eq!(marked, expected);
    is_whole(&home);
    let shown = home.sv("audit --last 4").text();
    let marks: Vec<&str> = shown
        .lines()
        .map(|line| line.rsplit('\t').next().expect("a column"))
        .collect();
    assert_eq!(marks, ["unauthenticated", "unauthenticated", "", ""]);
}

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

#[test]
fn another_user_is_told_of_and_fills_no_disk() {
    let home = Home::with_vault();
    let mut folder = home.socket.as_path();
    while folder.starts_with(&home.root) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("a mode");
        folder = folder.parent().expect("a folder");
    }
    sys::as_nobody(|| {
        for _ in 0..200 {
            let mut client = Client::connect(&home.socket).expect("the socket is open to all");
            let _ = client.send(Request::Status);
            let _ = client.receive(0);
        }
    });
    let events = all(&home);
    let refused: Vec<_> = events.iter().filter(|e| e.action == "connect").collect();
    assert!((10..60).contains(&refused.len()), "{}", refused.len());
    for event in refused {
        assert_eq!(event.asker.uid, 65534);
        assert_eq!(event.outcome, Outcome::Failed(Kind::Refused));
    }
    is_whole(&home);
}

#[test]
fn queries_of_the_client() {
    let home = Home::with_vault();
    for i in 0..15 {
        home.add(&format!("n{i}"), b"v");
        home.get(&format!("n{i}"));
    }
    home.sv("rename n3 new-name").ok();
    let names = |arguments: &str| -> Vec<String> {
        let text = home.sv(arguments).text();
        text.lines()
            .map(|line| {
                let columns: Vec<&str> = line.split('\t').collect();
                assert_eq!(columns.len(), 10, "{line}");
                format!("{} {}", columns[2], columns[3])
            })
            .collect()
    };
    assert_eq!(names("audit").len(), 20, "the newest");
    assert_eq!(names("audit --last 3").len(), 3);
    assert_eq!(
        names("audit --name n3"),
        ["add n3", "get n3", "rename n3 -> new-name"]
    );
    assert_eq!(names("audit --name new-name"), ["rename n3 -> new-name"]);
    assert_eq!(names("audit --name n4 --last 1"), ["get n4"]);
    let everything = names("audit --last all");
    assert!(everything.len() > 35);
    assert_eq!(everything[0], "init ");
    assert_eq!(names("audit --since 1h").len(), everything.len() + 1);
    assert_eq!(names("audit --since 2100-01-01"), [""; 0]);
    let json = home.sv("audit --name n3 --json").json();
    let list = json.as_array().expect("a list");
    // The list that was asked for before is an event about that name too.
    assert_eq!(list[0]["action"], "add");
    assert_eq!(list[2]["name"], "n3");
    assert_eq!(list[2]["new_name"], "new-name");
    assert_eq!(list[2]["comm_unverified"], "sv");
    home.sv("audit --last 0").fails(2);
    home.sv("audit --since yesterday").fails(2);
    home.sv("audit --verify --last 3").fails(2);
    home.sv("lock").ok();
    let told = home.sv("audit").fails(3);
    assert!(told.contains("hint: sv unlock"), "{told}");
    home.sv("audit --verify").fails(3);
}

#[test]
fn following() {
    let home = Home::with_vault();
    home.add("a", b"v");
    let mut command = home.command(SV);
    command
        .args(["audit", "--follow", "--json", "--name", "a"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("sv starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).expect("a document on each line")
    };
    assert_eq!(next()["action"], "add");
    for i in 0..3 {
        home.get("a");
        // Another name is not followed.
        home.add(&format!("other{i}"), b"v");
        home.sv("update a").input(b"w").ok();
        let (got, updated) = (next(), next());
        // What was asked for at the beginning is about that name as well.
        let got = match got["action"].as_str() {
            Some("audit") => {
                assert_eq!(updated["action"], "get");
                next()
            }
            _ => updated,
        };
        assert_eq!(got["action"], "update");
    }
    home.sv("lock").ok();
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(3));
    let mut err = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().expect("a pipe"), &mut err)
        .expect("text");
    assert!(
        err.contains("\"locked\"") && err.contains("sv unlock"),
        "{err}"
    );
    home.unlock();
    // ^C ends it, and nothing is said.
    let mut command = home.command(SV);
    command
        .args(["audit", "--follow"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("sv starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("a line");
    sys::kill(child.id(), libc::SIGINT).expect("a signal");
    let out = child.wait_with_output().expect("it ends");
    assert!(!out.status.success());
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
    // Nobody reads any more: it ends by itself.
    let script = "\"$SV\" audit --follow | head -n 1 | wc -l";
    let done = home.shell(script).patience(Duration::from_secs(20)).text();
    assert_eq!(done.trim(), "1");
    is_whole(&home);
}

#[test]
fn many_clients_at_once_leave_one_event_for_each_request() {
    let home = Home::with_vault();
    home.add("a", b"v");
    let before = last(&mut home.connect());
    thread::scope(|scope| {
        for worker in 0..4 {
            let home = &home;
            scope.spawn(move || {
                let mut client = home.connect();
                for i in 0..50 {
                    client.get("a").expect("a value");
                    client.add(&format!("w{worker}/{i}"), b"v").expect("added");
                }
            });
        }
    });
    let events = after(&mut home.connect(), before);
    assert_eq!(events.len(), 400);
    assert!(events.iter().zip(before + 1..).all(|(e, seq)| e.seq == seq));
    assert_eq!(events.iter().filter(|e| e.action == "add").count(), 200);
    is_whole(&home);
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
