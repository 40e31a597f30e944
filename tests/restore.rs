//! `sv restore` with the two real programs: a copy brings back what is in it,
//! and whatever goes wrong leaves the vault as it was.

mod common;

use common::{
    Home, PASSWORD,
    copies::{backup, restored, tidy, with_file},
    files, large,
    random::Random,
    wait_until,
};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};
use sv_proto::{
    Kind, Request, Response, Secret,
    message::{Key, KeyKind},
};

#[test]
fn there_and_back() {
    let home = Home::with_vault();
    for name in ["a", "b", "gone"] {
        home.add(name, b"first");
    }
    let early = backup(&home, "early.sv");
    home.sv("update a").input(b"second").ok();
    home.sv("delete gone --yes").ok();
    home.add("c", b"new");
    let late = backup(&home, "late.sv");

    // The older one has nothing that the vault lacks.
    let merge = |home: &Home, file: &Path| {
        let answer = with_file(home, &["restore", "--json"], file).json();
        assert_eq!(answer["created"], false);
        ["secrets", "revisions", "conflicts"].map(|k| answer[k].as_u64().expect("a number"))
    };
    assert_eq!(merge(&home, &early), [0, 0, 0]);
    assert_eq!(home.get("a"), b"second");
    // The newer one into what is older.
    let other = restored(&early);
    assert_eq!(other.sv("list").text(), "a\nb\ngone\n");
    other.add("d", b"only here");
    other.sv("update b").input(b"here").ok();
    assert_eq!(merge(&other, &late), [1, 3, 0]);
    assert_eq!(other.sv("list").text(), "a\nb\nc\nd\n");
    assert_eq!(other.get("a"), b"second");
    assert_eq!(other.get("b"), b"here");
    other.sv("verify").ok();
    assert_eq!(merge(&other, &late), [0, 0, 0], "twice adds nothing");
    // And the other way round: both are the same then.
    let both = backup(&other, "both.sv");
    assert_eq!(merge(&home, &both), [1, 2, 0]);
    assert_eq!(home.sv("list").text(), "a\nb\nc\nd\n");
    home.sv("verify").ok();
    // Both sides changed one secret: both values are kept.
    home.sv("update a").input(b"mine").ok();
    other.sv("update a").input(b"theirs").ok();
    assert_eq!(merge(&home, &backup(&other, "split.sv")), [0, 1, 1]);
    let history = home.sv("history a --json").json();
    let heads = |history: &serde_json::Value| {
        let all = history.as_array().expect("a list").iter();
        all.filter(|r| r["head"] == true).count()
    };
    assert_eq!(heads(&history), 2);
    home.sv("update a").input(b"settled").ok();
    assert_eq!(heads(&home.sv("history a --json").json()), 1);
    home.sv("verify").ok();
    tidy(&home);
    tidy(&other);
    // Names and text for people.
    let said = with_file(&home, &["restore"], &early).run();
    assert_eq!((said.code(), said.out.len()), (0, 0));
}

#[test]
fn after_a_rotation_the_old_password_is_needed() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.add("lost", b"found");
    let old = backup(&home, "old.sv");
    let mut client = home.connect();
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    let rotate = Request::Rotate {
        passwords: Some((secret(PASSWORD), secret("another"))),
    };
    let answer = client.exchange(rotate).expect("an agent");
    assert!(
        matches!(answer.last(), Some(Response::Rotated(_))),
        "{answer:?}"
    );
    home.sv("delete lost --yes --purge").ok();
    home.add("b", b"2");

    let before = home.sv("list --json").text();
    let said = with_file(&home, &["restore"], &old).fails(6);
    assert!(said.contains("--source-password-fd"), "{said}");
    let wrong = || with_file(&home, &["restore", "--source-password-stdin"], &old);
    wrong().line("another").fails(6);
    wrong().line("wrong").fails(6);
    wrong().input(b"").fails(2);
    let key = home.root.join("key");
    fs::write(&key, [7; 48]).expect("a key file");
    with_file(&home, &["restore", "--source-keyfile", "key"], &old).fails(6);
    fs::write(&key, [7; 31]).expect("a key file");
    with_file(&home, &["restore", "--source-keyfile", "key"], &old).fails(2);
    with_file(&home, &["restore", "--source-keyfile", "none"], &old).fails(2);
    with_file(&home, &["restore", "--share", "key"], &old).fails(6);
    assert_eq!(home.sv("list --json").text(), before, "nothing has changed");
    tidy(&home);

    let answer = wrong().arg("--json").line(PASSWORD).json();
    assert_eq!(
        answer["revisions"], 0,
        "all of it is known, or was purged: {answer}"
    );
    // What the old vault went on to hold comes back as well.
    let side = restored(&old);
    side.add("between", b"kept");
    let side = backup(&side, "side.sv");
    let script = format!(
        "exec \"$SV\" restore {} --source-password-fd 3 --json 3<<<'{PASSWORD}'",
        side.display()
    );
    let answer = home.shell(&script).json();
    assert_eq!(answer["secrets"], 1);
    assert_eq!(home.get("between"), b"kept");
    home.sv("verify").ok();

    // The newer keys do not go into the older vault.
    let new = backup(&home, "new.sv");
    let older = restored(&old);
    let said = with_file(&older, &["restore"], &new).fails(9);
    assert!(said.contains("move the vault away"), "{said}");
    assert_eq!(older.sv("list").text(), "a\nlost\n");
}

#[test]
fn files_that_are_no_copies_of_this_vault() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let copy = backup(&home, "copy.sv");
    let other = Home::with_vault();
    other.add("b", b"2");
    let foreign = backup(&other, "foreign.sv");
    with_file(&home, &["restore"], &foreign).fails(5);
    assert_eq!(home.sv("list").text(), "a\n");

    let whole = fs::read(&copy).expect("the copy");
    let empty = Home::new();
    let bad = home.root.join("bad.sv");
    let mut random = Random::new(11);
    let mut pieces: Vec<Vec<u8>> = (0..12)
        .map(|part| whole[..whole.len() * part / 12].to_vec())
        .collect();
    pieces.push(whole[..whole.len() - 1].to_vec());
    pieces.push(random.bytes(50_000));
    pieces.push(b"not a vault\n".to_vec());
    let mut flipped = whole.clone();
    // The page after SQLite's own first one, and so on: some byte of each.
    for page in (4096..whole.len()).step_by(4096) {
        flipped[page + 2000] ^= 1;
        flipped[page + 4000] ^= 1;
    }
    pieces.push(flipped);
    for (i, piece) in pieces.iter().enumerate() {
        fs::write(&bad, piece).expect("a file");
        for home in [&home, &empty] {
            let said = with_file(home, &["restore"], &bad).fails(8);
            assert!(said.starts_with("sv: the "), "piece {i}: {said}");
            with_file(home, &["verify"], &bad).ends_with(8);
        }
        assert!(!empty.vault.exists(), "piece {i}");
    }
    // Lines that name what is off, and the exit code.
    fs::write(&bad, &whole).expect("a file");
    let sqlite = home
        .command("sqlite3")
        .arg(&bad)
        .arg("UPDATE records SET entry = zeroblob(200); DELETE FROM revisions;")
        .status();
    assert!(sqlite.expect("sqlite3 (package sqlite3) runs").success());
    let done = with_file(&home, &["verify"], &bad).run();
    assert_eq!(done.code(), 8);
    let lines = String::from_utf8(done.out).expect("text");
    assert!(
        lines.lines().count() >= 2 && lines.contains("record "),
        "{lines}"
    );
    assert!(done.err.contains("problem"), "{}", done.err);
    let done = with_file(&home, &["verify", "--json"], &bad).run();
    let told: serde_json::Value = serde_json::from_slice(&done.out).expect("JSON");
    assert_eq!((done.code(), &told["ok"]), (8, &false.into()));

    for home in [&home, &empty] {
        with_file(home, &["restore"], &home.root.join("none")).fails(2);
        with_file(home, &["restore"], Path::new("/dev/null")).fails(2);
        tidy(home);
    }
    home.sv("lock").ok();
    with_file(&home, &["restore"], &copy).fails(3);
    tidy(&home);
    home.unlock();
    assert_eq!(home.get("a"), b"1");
}

/// The agent takes no file but those that a client put there for it.
#[test]
fn names_that_lead_nowhere() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let mut client = home.connect();
    let mut ask = |file: &str, restore: bool| {
        let file = file.to_owned();
        let request = match restore {
            false => Request::FileVerify { file },
            true => Request::Restore {
                file,
                key: Some(Key {
                    kind: KeyKind::Password,
                    secret: Secret::new(b"x".to_vec()),
                }),
                shares: Vec::new(),
            },
        };
        match client.exchange(request).expect("an agent").pop() {
            Some(Response::Failed(failure)) => failure.kind,
            other => panic!("{other:?}"),
        }
    };
    for restore in [false, true] {
        for name in [
            "",
            "vault.sv",
            "vault.sv.lock",
            "/etc/passwd",
            "../vault.sv",
            "vault.sv.restore-../../../x",
            "vault.sv.restore-0123456789abcde",
            "vault.sv.restore-0123456789abcdefg",
            "vault.sv.backup-0123456789abcdef",
            "other.sv.restore-0123456789abcdef",
            "vault.sv.restore-0123456789abcde\0",
        ] {
            assert_eq!(ask(name, restore), Kind::Usage, "{name:?}");
        }
        let name = "vault.sv.restore-0123456789abcdef";
        assert_eq!(ask(name, restore), Kind::NoVault);
        let path = home.vault.with_file_name(name);
        std::os::unix::fs::symlink(&home.vault, &path).expect("a link");
        assert_eq!(ask(name, restore), Kind::Refused);
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("a folder");
        assert_eq!(ask(name, restore), Kind::Refused);
        fs::remove_dir(&path).expect("removed");
    }
    assert_eq!(home.get("a"), b"1");
}

/// `sv` in the background; ended with the value.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().expect("sv starts"))
    }

    fn wait(&mut self) -> Option<i32> {
        let status = wait_until("sv ends", Duration::from_secs(60), || {
            self.0.try_wait().expect("waiting")
        });
        status.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already if nothing went wrong.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn killed_at_any_moment() {
    let home = Home::new();
    large::generate(&home.vault, PASSWORD, 1_500).expect("a vault");
    home.unlock();
    let file = backup(&home, "copy.sv");
    // What a restore is to bring.
    let other = restored(&file);
    for i in 0..300 {
        let mut client = other.connect();
        client.add(&format!("more/{i}"), b"x").expect("added");
    }
    let more = backup(&other, "more.sv");
    let secrets = |home: &Home| home.status()["secrets"].as_u64().expect("unlocked");
    assert_eq!(secrets(&home), 1_500);

    let mut random = Random::new(5);
    let mut seen = BTreeMap::new();
    for round in 0..16_u64 {
        let new = home.root.join("new.sv");
        let mut command = home.command(common::SV);
        match round % 2 {
            0 => command.arg("backup").arg(&new),
            _ => command.arg("restore").arg(&more),
        };
        let mut sv = Running::start(command);
        thread::sleep(Duration::from_micros(random.below(600_000)));
        // Either end of the connection dies.
        if round % 4 < 2 {
            home.kill_agent();
        } else {
            sv.0.kill().expect("it runs, or has ended");
        }
        let code = sv.wait();
        *seen.entry((round % 2, code)).or_insert(0) += 1;
        if round % 4 < 2 {
            home.unlock();
        }
        // What was made is whole, and what was not is not there.
        if new.exists() {
            with_file(&home, &["verify"], &new).ok();
            fs::remove_file(&new).expect("removed");
        }
        let count = wait_until("it settles", Duration::from_secs(30), || {
            // A client that was killed may leave its agent at work.
            let mut client = home.connect();
            client.add("probe", b"x").ok()?;
            let request = Request::Delete {
                name: "probe".to_owned(),
                purge: true,
            };
            client.ask(request).expect("deleted");
            Some(secrets(&home))
        });
        assert!(count == 1_500 || count == 1_800, "all or nothing: {count}");
        home.sv("verify").ok();
        if count == 1_800 {
            // Back to the beginning for the next round.
            home.sv("agent stop").ok();
            fs::remove_file(&home.vault).expect("removed");
            for entry in files(home.vault.parent().expect("a folder")) {
                fs::remove_file(entry.0).expect("removed");
            }
            fs::remove_dir_all(home.root.join("state/sv")).expect("removed");
            with_file(&home, &["restore"], &file).ok();
            home.unlock();
        }
        // An agent that starts takes away what was left behind long ago.
        home.sv("agent stop").ok();
        for (path, _) in files(home.vault.parent().expect("a folder")) {
            let file = fs::File::options().append(true).open(path).expect("a file");
            let then = SystemTime::now() - Duration::from_secs(3600);
            file.set_modified(then).expect("a time");
        }
        home.unlock();
        tidy(&home);
    }
    eprintln!("(what, exit code) and how often: {seen:?}");
    assert!(seen.len() >= 3, "some were cut short: {seen:?}");
}
