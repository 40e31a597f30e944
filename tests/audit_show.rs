//! What `sv audit` shows, what it marks, and what is nowhere.

mod common;

use common::{
    Home, SV,
    client::Client,
    files, holds,
    log::{after, all, is_whole, last, stop},
    sys, wait_until,
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::Stdio,
    thread,
    time::Duration,
};
use sv_proto::{Kind, Request, message::Outcome};

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
