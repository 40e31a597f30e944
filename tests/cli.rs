//! The main job, from nothing: unlock once, then read.

mod common;

use common::{Home, PASSWORD, proc, random::Random, wait_until};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

/// A hundred secrets: one of 1 MiB of random bytes, one of Unicode throughout,
/// one with NUL and invalid UTF-8, the rest in all sizes.
fn hundred() -> Vec<(String, Vec<u8>)> {
    let mut random = Random::new(100);
    let mut secrets = vec![
        ("big/blob".to_owned(), random.bytes(1024 * 1024)),
        ("ключ/пароль-日本語-🔑".to_owned(), "значение — 値 🗝".into()),
        (
            "binary/nul".to_owned(),
            b"\0before\0\xff\xfe\nafter\0\n".to_vec(),
        ),
    ];
    for i in secrets.len()..100 {
        let size = 1 + usize::try_from(random.below(6000)).expect("small");
        secrets.push((format!("service-{}/key{i}", i % 7), random.bytes(size)));
    }
    secrets
}

#[test]
fn the_main_job() {
    let home = Home::new();
    home.sv("init --password-stdin").line(PASSWORD).ok();
    let agent = home.pid();
    assert!(home.vault.is_file(), "the vault is at its default place");
    let mode = |path| fs::metadata(path).expect("it exists").permissions().mode() & 0o7777;
    assert_eq!(mode(home.vault.as_path()), 0o600);
    assert_eq!(mode(home.vault.parent().expect("a folder")), 0o700);
    assert_eq!(mode(home.socket.as_path()), 0o600);
    assert_eq!(mode(home.socket.parent().expect("a folder")), 0o700);

    let secrets = hundred();
    for (name, value) in &secrets {
        let out = home.sv_args(["add", name, "--raw"]).input(value).ok();
        assert!(!common::holds(&out, value), "a value is never repeated");
    }
    for (name, value) in &secrets {
        assert!(home.get(name) == *value, "{name}: byte for byte");
    }

    let mut names: Vec<&str> = secrets.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let listed = home.sv("list").text();
    assert_eq!(listed.lines().collect::<Vec<_>>(), names);
    let folder: Vec<&str> = names
        .iter()
        .copied()
        .filter(|n| n.starts_with("service-3/"))
        .collect();
    assert!(folder.len() > 10);
    assert_eq!(
        home.sv("list service-3/")
            .text()
            .lines()
            .collect::<Vec<_>>(),
        folder
    );
    assert_eq!(
        home.sv_args(["search", "ПАРОЛЬ"]).text(),
        "ключ/пароль-日本語-🔑\n"
    );
    assert_eq!(home.sv_args(["search", "nul bin"]).text(), "binary/nul\n");

    home.sv("update binary/nul").input(b"second").ok();
    home.sv("update binary/nul").input(b"third").ok();
    assert_eq!(home.get("binary/nul"), b"third");
    let history = home.sv("history binary/nul --json").json();
    let revisions: Vec<u64> = history
        .as_array()
        .expect("an array")
        .iter()
        .map(|r| r["rev"].as_u64().expect("a number"))
        .collect();
    assert_eq!(revisions, [3, 2, 1], "newest first");
    assert_eq!(home.sv("get binary/nul --rev 1").ok(), secrets[2].1);
    home.sv("revert binary/nul --rev 1").ok();
    assert_eq!(home.get("binary/nul"), secrets[2].1);
    assert_eq!(home.sv("get binary/nul --rev 3").ok(), b"third");

    home.sv("delete big/blob --yes").ok();
    home.sv("get big/blob").fails(4);
    assert_eq!(home.sv("list").text().lines().count(), 99);

    home.sv("verify").ok();
    home.sv("lock").ok();
    let err = home.sv("get binary/nul").fails(3);
    assert!(err.contains("hint: ") && err.contains("sv unlock"), "{err}");
    home.sv("unlock --password-stdin").line("wrong").fails(6);
    home.sv("get binary/nul").fails(3);
    home.sv("unlock --password-stdin").line(PASSWORD).ok();
    assert_eq!(home.pid(), agent, "one agent throughout");
    assert_eq!(home.get("binary/nul"), secrets[2].1);
    for (name, value) in &secrets[3..] {
        assert!(
            home.get(name) == *value,
            "{name}: byte for byte, after locking"
        );
    }
    home.sv("verify").ok();

    home.sv("agent stop").ok();
    wait_until("the agent is gone", Duration::from_secs(10), || {
        (!proc::alive(agent)).then_some(())
    });
    assert!(!home.socket.exists(), "the socket went with the agent");
    home.sv("get binary/nul").fails(3);
    home.unlock();
    assert_ne!(home.pid(), agent);
    for (name, value) in &secrets[1..] {
        assert!(
            home.get(name) == *value,
            "{name}: byte for byte, after a restart"
        );
    }
}

#[test]
fn an_unlocked_vault_asks_for_nothing() {
    let home = Home::with_vault();
    // Nobody answers on this standard input.
    home.sv("unlock").silent_input().ok();
    home.sv("unlock --password-stdin").silent_input().ok();
    home.sv("unlock --no-input").ok();
    assert!(home.sv("status --json").json()["locked"] == false);
}

#[test]
fn lock_is_content_with_every_state() {
    let home = Home::new();
    home.sv("lock").ok();
    assert!(!home.socket.exists(), "lock starts no agent");
    home.init();
    home.sv("lock").ok();
    home.sv("lock").ok();
    home.sv("agent stop").ok();
    home.sv("lock").ok();
    assert!(proc::agents(&home.root).is_empty(), "lock starts no agent");
}

#[test]
fn unlocking_for_a_while() {
    let home = Home::with_vault();
    home.sv("lock").ok();
    home.sv("unlock --for 2s --password-stdin")
        .line(PASSWORD)
        .ok();
    let unlocked = Instant::now();
    home.add("a", b"1");
    let left = home.status()["lock_in"].as_f64().expect("seconds");
    assert!(left <= 2.0, "{left}");
    // Use does not extend it.
    wait_until("it locks by itself", Duration::from_secs(10), || {
        let done = home.sv("get a").run();
        match done.code() {
            0 => None,
            _ => Some(done.fails(3)),
        }
    });
    assert!(
        unlocked.elapsed() > Duration::from_millis(1500),
        "not before its time"
    );

    home.sv("unlock --for 1000d --password-stdin")
        .line(PASSWORD)
        .fails(2);
    home.sv("unlock --for soon --password-stdin")
        .line(PASSWORD)
        .fails(2);
    home.sv("get a").fails(3);
}

#[test]
fn sorted_and_filtered() {
    let home = Home::with_vault();
    let names = ["z", "a", "B", "a/b", "a-b", "é", "Z/1", "a.b", "🔑", "ab"];
    for (i, name) in names.iter().enumerate() {
        let mut arguments = vec!["add", name];
        if i % 2 == 0 {
            arguments.extend(["--category", "even", "--tag", "two,shared"]);
        } else {
            arguments.extend(["--category", "odd", "--tag", "one", "--tag", "shared"]);
        }
        if i == 3 {
            arguments.extend(["--note", "The Quick brown fox"]);
        }
        home.sv_args(arguments).input(b"fox-value").ok();
    }
    let lines = |arguments: &[&str]| -> Vec<String> {
        home.sv_args(arguments)
            .text()
            .lines()
            .map(str::to_owned)
            .collect()
    };
    let sorted = |pick: &dyn Fn(usize, &str) -> bool| {
        let mut out: Vec<String> = names
            .iter()
            .enumerate()
            .filter(|(i, n)| pick(*i, n))
            .map(|(_, n)| (*n).to_owned())
            .collect();
        out.sort_unstable();
        out
    };
    assert_eq!(lines(&["list"]), sorted(&|_, _| true));
    assert_eq!(lines(&["list", "a"]), sorted(&|_, n| n.starts_with('a')));
    assert_eq!(lines(&["list", "a/"]), ["a/b"]);
    assert_eq!(lines(&["list", "nothing"]), [""; 0]);
    assert_eq!(
        lines(&["list", "--category", "odd"]),
        sorted(&|i, _| i % 2 == 1)
    );
    assert_eq!(lines(&["list", "--category", "none"]), [""; 0]);
    assert_eq!(lines(&["list", "--tag", "two"]), sorted(&|i, _| i % 2 == 0));
    assert_eq!(lines(&["list", "--tag", "shared"]), sorted(&|_, _| true));
    assert_eq!(
        lines(&["list", "--tag", "shared,one"]),
        sorted(&|i, _| i % 2 == 1)
    );
    assert_eq!(lines(&["list", "--tag", "one", "--tag", "two"]), [""; 0]);
    assert_eq!(
        lines(&["list", "a", "--tag", "two"]),
        sorted(&|i, n| i % 2 == 0 && n.starts_with('a'))
    );
    assert_eq!(lines(&["search", "quick FOX"]), ["a/b"]);
    assert_eq!(lines(&["search", "EVEN"]), sorted(&|i, _| i % 2 == 0));
    assert_eq!(lines(&["search", "one"]), sorted(&|i, _| i % 2 == 1));
    assert_eq!(
        lines(&["search", "fox-value"]),
        [""; 0],
        "values are never searched"
    );
    let long = home.sv("list --long").text();
    assert_eq!(
        long.lines().filter(|l| l.contains("even")).count(),
        5,
        "{long}"
    );
    assert!(!long.contains("fox-value"));
}

#[test]
fn renaming_keeps_the_history() {
    let home = Home::with_vault();
    home.add("old", b"1");
    home.sv("update old").input(b"2").ok();
    home.add("other", b"x");
    home.sv("rename old other").fails(5);
    home.sv("rename missing new").fails(4);
    home.sv("rename old /bad").fails(2);
    home.sv("rename old new/name").ok();
    home.sv("get old").fails(4);
    assert_eq!(home.get("new/name"), b"2");
    assert_eq!(home.sv("get new/name --rev 1").ok(), b"1");
    assert_eq!(home.get("other"), b"x");
    assert_eq!(home.sv("list").text(), "new/name\nother\n");
    // The old name is free again.
    home.add("old", b"fresh");
    assert_eq!(home.get("old"), b"fresh");
    assert_eq!(home.get("new/name"), b"2");
    let history = home.sv("history new/name --json").json();
    let history = history.as_array().expect("an array");
    assert_eq!(history.len(), 3);
    assert_eq!(history[0]["name"], "new/name");
    assert_eq!(history[2]["name"], "old");
    home.sv("verify").ok();
}

#[test]
fn what_was_deleted_comes_back() {
    let home = Home::with_vault();
    home.add("gone", b"1");
    home.sv("update gone").input(b"2").ok();
    home.sv("delete gone --yes").ok();
    home.sv("get gone").fails(4);
    home.sv("show gone").fails(4);
    home.sv("update gone").input(b"3").fails(4);
    home.sv("delete gone --yes").fails(4);
    assert_eq!(home.sv("list").ok(), b"");
    assert_eq!(home.sv("get gone --rev 2").ok(), b"2");
    let history = home.sv("history gone --json").json();
    assert_eq!(history[0]["deleted"], true);
    assert_eq!(history[0]["head"], true);
    assert_eq!(history[1]["deleted"], false);
    home.sv("revert gone --rev 1").ok();
    assert_eq!(home.get("gone"), b"1");
    assert_eq!(home.sv("list").text(), "gone\n");

    home.sv("delete gone --yes").ok();
    home.sv("add gone").input(b"anew").ok();
    assert_eq!(home.get("gone"), b"anew");
    home.sv("delete gone --purge --yes").ok();
    home.sv("get gone").fails(4);
    home.sv("verify").ok();
}

#[test]
fn a_purge_leaves_nothing_to_go_back_to() {
    let home = Home::with_vault();
    home.add("gone", b"1");
    home.sv("update gone").input(b"2").ok();
    home.sv("delete gone --purge --yes").ok();
    for rev in ["1", "2"] {
        home.sv_args(["get", "gone", "--rev", rev]).fails(4);
        home.sv_args(["revert", "gone", "--rev", rev]).fails(4);
    }
    home.sv("add gone").input(b"anew").ok();
    assert_eq!(home.get("gone"), b"anew");
    home.sv("verify").ok();
}

#[test]
fn the_history_is_bounded() {
    let home = Home::with_vault();
    home.add("x", b"1");
    for i in 2..=20 {
        home.sv("update x").input(i.to_string().as_bytes()).ok();
    }
    let history = home.sv("history x --json").json();
    let kept: Vec<u64> = history
        .as_array()
        .expect("an array")
        .iter()
        .map(|r| r["rev"].as_u64().expect("n"))
        .collect();
    assert_eq!(
        kept,
        (10..=20).rev().collect::<Vec<_>>(),
        "the head and ten more"
    );
    assert_eq!(home.sv("get x --rev 10").ok(), b"10");
    home.sv("get x --rev 9").fails(4);
    home.sv("get x --rev 21").fails(4);
    home.sv("verify").ok();
}

#[test]
fn another_password() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("passwd --password-stdin")
        .input(b"wrong\nnew one\n")
        .fails(6);
    home.sv("passwd --password-stdin")
        .input(format!("{PASSWORD}\n\n").as_bytes())
        .fails(2);
    home.sv("lock").ok();
    home.unlock();

    home.sv("passwd --password-stdin")
        .input(format!("{PASSWORD}\nnew one\n").as_bytes())
        .ok();
    assert_eq!(home.get("a"), b"1");
    home.sv("lock").ok();
    home.sv("unlock --password-stdin").line(PASSWORD).fails(6);
    home.sv("unlock --password-stdin").line("new one").ok();
    assert_eq!(home.get("a"), b"1");

    // From descriptors of its own, after a restart.
    home.sv("agent stop").ok();
    home.sv("unlock --password-stdin").line("new one").ok();
    home.shell(
        r#"exec "$SV" passwd --password-fd 5 --new-password-fd 6 5<<<'new one' 6<<<'third'"#,
    )
    .ok();
    home.sv("lock").ok();
    home.sv("unlock --password-stdin").line("new one").fails(6);
    home.shell(r#"exec "$SV" unlock --password-fd 9 9<<<'third'"#)
        .ok();
    assert_eq!(home.get("a"), b"1");
    home.sv("verify").ok();
}

#[test]
fn passwords_are_bytes() {
    let home = Home::new();
    let password = b"  \xff\xfe p\xc3\xa4ss \r";
    let line = [password.as_slice(), b"\n"].concat();
    home.sv("init --password-stdin").input(&line).ok();
    home.sv("lock").ok();
    home.sv("unlock --password-stdin")
        .input(b"  \xff\xfe p\xc3\xa4ss \n")
        .fails(6);
    // Without a newline at the end, too.
    home.sv("unlock --password-stdin").input(password).ok();
}

#[test]
fn the_places_are_taken_in_order() {
    let home = Home::new();
    home.configure(&format!(
        "vault = \"{0}/by-config.sv\"\nsocket = \"{0}/c/agent.sock\"\n",
        home.root.display()
    ));
    home.sv("init --password-stdin").line(PASSWORD).ok();
    assert!(home.root.join("by-config.sv").is_file());
    assert!(home.root.join("c/agent.sock").exists());
    assert!(!home.vault.exists());
    home.sv("agent stop").ok();

    let vault = home.root.join("by-env.sv");
    let socket = home.root.join("e/agent.sock");
    home.sv("init --password-stdin")
        .env("SV_VAULT", &vault)
        .env("SV_SOCKET", &socket)
        .line(PASSWORD)
        .ok();
    assert!(vault.is_file() && socket.exists());

    // Relative options are relative to the working folder.
    let folder = home.root.join("home");
    home.sv("init --password-stdin --vault by-option.sv --socket o/agent.sock")
        .env("SV_VAULT", &vault)
        .env("SV_SOCKET", &socket)
        .current_dir(&folder)
        .line(PASSWORD)
        .ok();
    assert!(folder.join("by-option.sv").is_file() && folder.join("o/agent.sock").exists());
    assert_eq!(proc::agents(&home.root).len(), 2);
}
