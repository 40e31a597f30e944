//! A recovery to which several people contribute.

mod common;

use common::{
    Home,
    shares::{dealt, locked, mistyped, path, text, unlocks},
    terminal::Terminal,
};
use serde_json::Value;
use std::fs;

const NEW: &str = "a new password";

#[test]
fn several_people_hand_in() {
    let (home, shares) = locked();
    let key = home.sv("recover --start --for 5m").text();
    let key = key.trim_end();
    assert!(key.starts_with("svrecover") && !key.contains('\n'), "{key}");
    let status = home.sv("recover --status --json").json();
    assert_eq!(
        (&status["key"], &status["threshold"]),
        (&key.into(), &2.into())
    );
    assert_eq!(status["shares"], serde_json::json!([]));
    let left = status["left"].as_u64().expect("seconds");
    assert!((200..=300).contains(&left), "{left}");

    // The holder has neither agent nor vault.
    let holder = Home::new();
    fs::copy(&shares[2], holder.root.join("mine.sv")).expect("a share");
    let line = holder
        .sv_args(["share", "release", "mine.sv", "--for", key])
        .text();
    assert!(
        line.starts_with("svsealed") && line.ends_with('\n'),
        "{line}"
    );
    assert!(!holder.socket.exists(), "no agent was started");
    let other = holder
        .sv_args(["share", "release", "-", "--for", key])
        .line(&text(&shares[0]))
        .text();
    assert_ne!(line, other);

    home.sv("recover --submit -").input(line.as_bytes()).ok();
    let status = home.sv("recover --status").text();
    assert!(
        status.starts_with("1 of 2 shares are handed in: 3; forgotten in "),
        "{status}"
    );
    home.sv("recover --finish --password-stdin")
        .line(NEW)
        .fails(6);
    // The same again, and one for another recovery.
    home.sv("recover --submit -")
        .input(line.as_bytes())
        .fails(6);
    home.sv("recover --submit -")
        .input(mistyped(line.trim()).as_bytes())
        .fails(8);
    // A plain share counts as well.
    let document = home
        .sv_args(["recover", "--submit", path(&shares[0]), "--json"])
        .json();
    assert_eq!(document["shares"], serde_json::json!([1, 3]));
    home.sv("recover --finish --password-stdin").line(NEW).ok();
    assert_eq!(home.get("service/key"), b"the value");
    assert!(unlocks(&home, NEW));
    home.sv("recover --status").fails(4);
}

#[test]
fn a_recovery_is_forgotten() {
    let (home, shares) = locked();
    let start = |line: &str| home.sv(line).text().trim_end().to_owned();
    let release = |key: &str| {
        home.sv_args(["share", "release", path(&shares[0]), "--for", key])
            .text()
    };
    let first = start("recover --start");
    let line = release(&first);
    home.sv("recover --submit -").input(line.as_bytes()).ok();
    home.sv("recover --cancel").ok();
    home.sv("recover --status").fails(4);
    let second = start("recover --start --for 2s");
    assert_ne!(first, second);
    home.sv("recover --submit -")
        .input(line.as_bytes())
        .fails(6);
    let line = release(&second);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    home.sv("recover --submit -")
        .input(line.as_bytes())
        .fails(4);
    let third: Value = home.sv("recover --start --json").json();
    assert!(third["left"].as_u64().expect("seconds") > 3500);
    // It was not of this vault's making.
    let elsewhere = Home::with_vault();
    dealt(&elsewhere, "shares", 2, 2);
    let key = elsewhere.sv("recover --start").text();
    home.sv_args(["share", "release", path(&shares[0]), "--for", key.trim()])
        .fails(6);
    let mut damaged = key.trim().to_owned();
    damaged.pop();
    home.sv_args(["share", "release", path(&shares[0]), "--for", &damaged])
        .fails(2);
}

#[test]
fn asked_for_the_password_at_the_end() {
    let (home, shares) = locked();
    home.sv("recover --start").ok();
    let mut arguments = vec!["recover", "--submit"];
    arguments.extend([path(&shares[0]), "--submit", path(&shares[1])]);
    home.sv_args(arguments).ok();
    let mut terminal = Terminal::start(&home, &["recover", "--finish"]);
    terminal.answer_hidden("new password", NEW);
    terminal.answer_hidden("again", NEW);
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(unlocks(&home, NEW));
    // A share that is typed is released without being seen.
    let key = home.sv("recover --start").text();
    let share = text(&shares[0]);
    let mut terminal = Terminal::start(&home, &["share", "release", "-", "--for", key.trim()]);
    terminal.answer_hidden("share", &share);
    terminal.expect("svsealed");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains(&share), "{shown}");
}
