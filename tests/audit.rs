//! The audit log with the real programs: what leaves an event, and who is named
//! in it.

mod common;

use common::{
    Home, PASSWORD, SV,
    client::{self, kind},
    log::{after, is_whole, last},
    proc,
};
use std::{fs, process::Stdio};
use sv_proto::{
    Kind, Request, Response, Secret,
    message::{HolderKind, Key, KeyKind, Outcome},
};

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
        let written = std::io::Write::write_all(
            child.stdin.as_mut().expect("a pipe"),
            format!("{input}\n").as_bytes(),
        );
        // Who reads none may have ended already.
        assert!(written.is_ok() || input.is_empty(), "sv {words}");
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
