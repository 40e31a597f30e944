//! What opens the vault on this machine, and new keys for it.

mod common;

use common::{
    Home, PASSWORD,
    shares::{dealt, drill},
    terminal::Terminal,
};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

fn key(home: &Home, name: &str, fill: u8) {
    let path = home.root.join(name);
    fs::write(&path, [fill; 32]).expect("a key file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
}

fn slots(home: &Home) -> Vec<Value> {
    let document = home.sv("slot list --json").json();
    document["slots"].as_array().expect("a list").clone()
}

fn lock(home: &Home) {
    home.sv("lock").ok();
}

#[test]
fn a_key_file_opens_the_vault() {
    let home = Home::with_vault();
    home.add("a", b"1");
    key(&home, "key", 1);
    let document = home
        .sv("slot add --keyfile key --label server --password-stdin --json")
        .line(PASSWORD)
        .json();
    assert_eq!(document["slots"].as_array().map(Vec::len), Some(2));
    let added = slots(&home)
        .into_iter()
        .find(|slot| slot["kind"] == "keyfile");
    let added = added.expect("the new one");
    assert_eq!(added["label"], "server");
    let id = added["id"].as_str().expect("an id").to_owned();
    assert_eq!(id.len(), 32);
    let table = home.sv("slot list").text();
    assert!(
        table.contains(&format!("{id}\tkeyfile\tserver\n")),
        "{table}"
    );

    lock(&home);
    home.sv("unlock --keyfile key").ok();
    assert_eq!(home.get("a"), b"1");
    home.sv("unlock --keyfile key").ok();
    lock(&home);
    home.unlock();
    // Another key does not, and the password is not asked for instead.
    lock(&home);
    key(&home, "other", 2);
    home.sv("unlock --keyfile other").fails(6);
    home.sv("unlock --keyfile key --for 1h").ok();

    // The key proves that its owner may add and remove.
    key(&home, "third", 3);
    home.sv("slot add --keyfile third --present-keyfile key")
        .ok();
    home.sv("slot add --keyfile other --present-keyfile other")
        .fails(6);
    home.sv("slot add --password --present-keyfile third --password-stdin --label second")
        .line("second password")
        .ok();
    assert_eq!(slots(&home).len(), 4);
    lock(&home);
    home.sv("unlock --password-stdin")
        .line("second password")
        .ok();
    home.sv("slot remove server").ok();
    lock(&home);
    home.sv("unlock --keyfile key").fails(6);
    home.sv("unlock --keyfile third").ok();
}

#[test]
fn what_is_no_key_file() {
    let home = Home::with_vault();
    key(&home, "key", 1);
    key(&home, "open", 1);
    fs::set_permissions(home.root.join("open"), fs::Permissions::from_mode(0o644)).expect("a mode");
    fs::write(home.root.join("short"), [1; 31]).expect("a file");
    fs::set_permissions(home.root.join("short"), fs::Permissions::from_mode(0o600))
        .expect("a mode");
    lock(&home);
    let error = home.sv("unlock --keyfile open").fails(7);
    assert!(error.contains("hint: chmod 600 open"), "{error}");
    home.sv("unlock --keyfile short").fails(2);
    home.sv("unlock --keyfile .").fails(2);
    home.sv("unlock --keyfile missing").fails(2);
    home.sv("unlock --keyfile key --password-stdin")
        .line(PASSWORD)
        .fails(2);
    home.sv("unlock --keyfile key --credential key").fails(2);
    home.sv("unlock --credential key").fails(2);
    home.sv("unlock --credential ../key")
        .env("CREDENTIALS_DIRECTORY", &home.root)
        .fails(2);
}

#[test]
fn a_credential_of_a_service() {
    let home = Home::with_vault();
    let folder = home.root.join("credentials");
    fs::create_dir(&folder).expect("a folder");
    key(&home, "credentials/sv-key", 7);
    // As systemd leaves it.
    fs::set_permissions(folder.join("sv-key"), fs::Permissions::from_mode(0o440)).expect("a mode");
    home.sv("slot add --credential sv-key --password-stdin")
        .env("CREDENTIALS_DIRECTORY", &folder)
        .line(PASSWORD)
        .ok();
    lock(&home);
    home.sv("unlock --credential sv-key").fails(2);
    home.sv("unlock --credential other")
        .env("CREDENTIALS_DIRECTORY", &folder)
        .fails(2);
    home.sv("unlock --credential sv-key")
        .env("CREDENTIALS_DIRECTORY", &folder)
        .ok();
    assert!(slots(&home).iter().any(|slot| slot["kind"] == "credential"));
    key(&home, "key", 1);
    home.sv("slot add --keyfile key --present-credential sv-key")
        .env("CREDENTIALS_DIRECTORY", &folder)
        .ok();
}

#[test]
fn what_makes_no_sense() {
    let home = Home::with_vault();
    key(&home, "key", 1);
    for (line, told) in [
        ("slot", "a command is missing"),
        ("slot add", "what is to open the vault as well?"),
        (
            "slot add --keyfile key",
            "something that opens the vault now has to prove that you may",
        ),
        (
            "slot add --keyfile key --password",
            "--keyfile and --password can't be used together",
        ),
        (
            "slot add --keyfile key --present-password --present-keyfile key",
            "--present-keyfile and --present-password can't be used together",
        ),
        (
            "slot add --keyfile key --password-stdin --present-keyfile key",
            "--present-keyfile and a present password can't be used together",
        ),
        (
            "slot add --password --password-stdin --new-password-fd 0",
            "standard input is claimed twice, by --password-stdin and --new-password-fd 0",
        ),
        (
            "slot add --keyfile key --present-password",
            "a password is needed, and there is no terminal to ask on",
        ),
        ("slot remove", "SLOT is missing"),
        (
            "rotate --password-stdin",
            "--password-stdin is for --password",
        ),
        (
            "rotate --out a",
            "where shares go was said, but not --shares",
        ),
    ] {
        let error = home.sv(line).fails(2);
        assert_eq!(
            error.lines().next(),
            Some(&*format!("sv: {told}")),
            "{line}"
        );
    }
    home.sv_args([
        "slot",
        "add",
        "--keyfile",
        "key",
        "--present-password",
        "--label",
        "a\nb",
    ])
    .fails(2);
    let long = "x".repeat(65);
    home.sv_args([
        "slot",
        "add",
        "--keyfile",
        "key",
        "--present-password",
        "--label",
        &long,
    ])
    .fails(2);
    home.sv("slot remove nothing").fails(4);
    home.sv("slot add --keyfile key --password-stdin")
        .line("wrong")
        .fails(6);
    assert_eq!(slots(&home).len(), 1);
    lock(&home);
    for line in [
        "slot list",
        "slot remove 0",
        "slot add --keyfile key --present-keyfile key",
    ] {
        home.sv(line).fails(3);
    }
}

#[test]
fn the_last_slot_stays_without_shares() {
    let home = Home::with_vault();
    let id = slots(&home)[0]["id"].as_str().expect("an id").to_owned();
    let done = home.sv_args(["slot", "remove", &id]).run();
    assert_ne!(done.code(), 0);
    assert_eq!(slots(&home).len(), 1);
    dealt(&home, "shares", 2, 3);
    home.sv_args(["slot", "remove", &id[..8]]).ok();
    assert_eq!(slots(&home).len(), 0);
    lock(&home);
    home.sv("unlock --password-stdin").line(PASSWORD).fails(6);
    home.sv("recover shares/share-1-of-3.sv shares/share-3-of-3.sv --password-stdin")
        .line("new")
        .ok();
    assert_eq!(slots(&home).len(), 1);
}

#[test]
fn a_person_adds_a_password() {
    let home = Home::with_vault();
    let mut terminal = Terminal::start(&home, &["slot", "add", "--password", "--label", "second"]);
    terminal.answer_hidden("present password", PASSWORD);
    terminal.answer_hidden("new password", "typed-second");
    terminal.answer_hidden("again", "typed-second");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(
        !shown.contains("typed-") && !shown.contains(PASSWORD),
        "{shown}"
    );
    lock(&home);
    home.sv("unlock --password-stdin").line("typed-second").ok();
    home.unlock();
    key(&home, "key", 1);
    let mut terminal = Terminal::start(
        &home,
        &["slot", "add", "--keyfile", "key", "--present-password"],
    );
    terminal.answer_hidden("present password", PASSWORD);
    assert_eq!(terminal.finish().0, 0);
    // Without being told to, nothing asks.
    let (code, shown) = Terminal::start(&home, &["slot", "add", "--keyfile", "key"]).finish();
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("--present-password"), "{shown}");
}

#[test]
fn new_keys() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("update a").input(b"2").ok();
    let shares = dealt(&home, "shares", 2, 3);
    let before = home.status()["epoch"].as_u64().expect("an epoch");
    let document = home.sv("rotate --json").json();
    assert_eq!(document["epoch"], before + 1);
    assert_eq!(document["secrets"], 1);
    assert_eq!(document["revisions"], 2);
    assert!(document["seconds"].as_f64().expect("a number") < 60.0);
    assert_eq!(home.get("a"), b"2");
    assert_eq!(home.sv("get a --rev 1").ok(), b"1");
    assert_eq!(drill(&home, &shares[..2]), 0);
    lock(&home);
    home.sv("rotate").fails(3);
    home.unlock();

    // With the password in the same step, wrong at first.
    let passwords = |old: &str| format!("{old}\nnext password\n");
    home.sv("rotate --password --password-stdin")
        .input(passwords("wrong").as_bytes())
        .fails(6);
    let done = home
        .sv("rotate --password --password-stdin")
        .input(passwords(PASSWORD).as_bytes())
        .run();
    assert!(done.err.contains("old password"), "{}", done.err);
    done.ok();
    lock(&home);
    home.sv("unlock --password-stdin").line(PASSWORD).fails(6);
    home.sv("unlock --password-stdin")
        .line("next password")
        .ok();
    assert_eq!(home.sv("get a --rev 1").ok(), b"1");

    let mut terminal = Terminal::start(&home, &["rotate", "--password"]);
    terminal.answer_hidden("present password", "next password");
    terminal.answer_hidden("new password", "typed-last");
    terminal.answer_hidden("again", "typed-last");
    terminal.expect("new keys, epoch");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    lock(&home);
    home.sv("unlock --password-stdin").line("typed-last").ok();
}

#[test]
fn what_to_look_after() {
    let home = Home::with_vault();
    let status = home.sv("status --json").json();
    assert!(
        status["warnings"].to_string().contains("no_shares"),
        "{status}"
    );
    assert_eq!(status["shares"], false);
    let done = home.sv("status").run();
    assert!(
        done.err.contains("warning: no shares exist"),
        "{}",
        done.err
    );
    assert!(done.err.contains("hint: sv distribute"), "{}", done.err);
    done.ok();
    dealt(&home, "shares", 2, 3);
    let status = home.sv("status --json").json();
    assert!(
        !status["warnings"].to_string().contains("shares"),
        "{status}"
    );
    assert!(status["shares_verified"].is_string());
    let done = home.sv("status").run();
    assert!(!done.err.contains("shares"), "{}", done.err);
    // Locked, nothing is known, and nothing is made up.
    lock(&home);
    let status = home.sv("status --json").json();
    assert_eq!(status["warnings"], serde_json::json!([]));
    assert_eq!(status.get("shares"), None);
    assert_eq!(home.sv("status").run().err, "");
    assert!(Path::new(&home.vault).exists());
}
