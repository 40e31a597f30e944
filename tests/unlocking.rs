//! Each of a vault's slots by itself: what opens it, what does not, what happens
//! to the others, and a server that nobody is there to unlock. `slots.rs` is
//! about the command.

mod common;

use common::{
    Home, PASSWORD,
    random::Random,
    upkeep::{self, Dump, key, password},
    wait_until,
};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};
use sv_proto::{
    Kind, Request, limits,
    message::{KeyKind, State},
};

/// A file that nobody else can read.
fn private_file(at: &Path, bytes: &[u8]) {
    let mut options = fs::File::options();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(at).expect("a new file");
    std::io::Write::write_all(&mut file, bytes).expect("its content");
}

/// The folder that systemd gives to a service, with this credential in it.
fn credentials(home: &Home, name: &str, bytes: &[u8]) -> PathBuf {
    let dir = home.root.join("credentials");
    if !dir.exists() {
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700).create(&dir).expect("a folder");
    }
    private_file(&dir.join(name), bytes);
    fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o400)).expect("a mode");
    dir
}

/// A vault that a password, a key file and a credential open; the credentials.
fn three_ways() -> (Home, PathBuf) {
    let home = Home::with_vault();
    let mut random = Random::new(5);
    private_file(&home.root.join("key"), &random.bytes(64));
    let dir = credentials(&home, "sv-key", &random.bytes(32));
    home.add("a", b"value");
    home.sv("slot add --keyfile key --label safe --password-stdin")
        .line(PASSWORD)
        .ok();
    home.sv("slot add --credential sv-key --label server --present-keyfile key")
        .env("CREDENTIALS_DIRECTORY", &dir)
        .ok();
    (home, dir)
}

fn kinds(home: &Home) -> Vec<(String, String)> {
    let list = home.sv("slot list --json").json();
    let text = |slot: &Value, name| slot[name].as_str().expect("text").to_owned();
    let slots = list["slots"].as_array().expect("a list");
    let mut kinds: Vec<_> = slots
        .iter()
        .map(|slot| (text(slot, "kind"), text(slot, "label")))
        .collect();
    kinds.sort();
    kinds
}

fn pair(kind: &str, label: &str) -> (String, String) {
    (kind.to_owned(), label.to_owned())
}

#[test]
fn each_of_them_opens_it() {
    let (home, dir) = three_ways();
    assert_eq!(
        kinds(&home),
        [
            pair("credential", "server"),
            pair("keyfile", "safe"),
            pair("password", "password")
        ]
    );
    let by_password = || home.sv("unlock --password-stdin").line(PASSWORD);
    let by_file = || home.sv("unlock --keyfile key");
    let by_credential = || {
        home.sv("unlock --credential sv-key")
            .env("CREDENTIALS_DIRECTORY", &dir)
    };
    let check = || {
        assert_eq!(home.get("a"), b"value");
        home.sv("lock").ok();
        home.sv("get a").fails(3);
    };
    home.sv("lock").ok();
    for _ in 0..2 {
        by_file().ok();
        check();
        by_credential().ok();
        check();
        by_password().ok();
        check();
        // And after another agent has started.
        home.kill_agent();
    }
    by_credential().ok();
    home.sv("rotate").ok();
    check();
    by_file().ok();
    home.sv("verify").ok();
    check();
    by_password().ok();
    check();
    by_credential().ok();
    assert_eq!(kinds(&home).len(), 3);
}

#[test]
fn the_kind_belongs_to_the_key() {
    // The same bytes as a password, a key file or a credential are not the same key.
    let home = Home::with_vault();
    let mut client = home.connect();
    let bytes = [b'k'; 40];
    let add = |new| Request::SlotAdd {
        present: password(PASSWORD),
        new,
        label: String::new(),
    };
    upkeep::slots(&mut client, add(key(KeyKind::KeyFile, &bytes))).expect("a slot");
    assert!(upkeep::opens(&mut client, key(KeyKind::KeyFile, &bytes)));
    assert!(!upkeep::opens(&mut client, key(KeyKind::Password, &bytes)));
    let almost = [b"k".repeat(39), b"l".to_vec()].concat();
    for wrong in [&almost[..], &bytes[..39], &[&bytes[..], b"k"].concat()] {
        assert!(!upkeep::opens(&mut client, key(KeyKind::KeyFile, wrong)));
    }
    assert!(upkeep::opens(&mut client, password(PASSWORD)));
    upkeep::sound(&mut client);
}

#[test]
fn wrong_keys_are_wrong() {
    let (home, dir) = three_ways();
    home.sv("lock").ok();
    private_file(&home.root.join("other"), &[7; 64]);
    let err = home.sv("unlock --keyfile other").fails(6);
    assert!(!err.contains("password"), "it is about a key: {err}");
    private_file(&dir.join("other"), &[7; 32]);
    home.sv("unlock --credential other")
        .env("CREDENTIALS_DIRECTORY", &dir)
        .fails(6);
    home.sv("unlock --keyfile none").fails(2);
    home.sv("unlock --credential none")
        .env("CREDENTIALS_DIRECTORY", &dir)
        .fails(2);
    home.sv("unlock --credential sv-key").fails(2);
    assert_eq!(home.status()["state"], "locked");

    home.unlock();
    // Nothing is added on a wrong proof.
    private_file(&home.root.join("third"), &[9; 64]);
    home.sv("slot add --keyfile third --password-stdin")
        .line("wrong")
        .fails(6);
    home.sv("slot add --keyfile third --present-keyfile other")
        .fails(6);
    assert_eq!(kinds(&home).len(), 3);
    home.sv("slot remove nothing-of-that-name").fails(4);
    let mut client = home.connect();
    let unknown = Request::SlotRemove { slot: [9; 16] };
    let failure = upkeep::slots(&mut client, unknown).expect_err("no such slot");
    assert_eq!(failure.kind, Kind::NoSlot);
}

#[test]
fn a_key_file_is_its_owners_alone() {
    let (home, _) = three_ways();
    home.sv("lock").ok();
    let path = home.root.join("key");
    for mode in [0o644, 0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        let err = home.sv("unlock --keyfile key").fails(7);
        assert!(err.contains("hint: chmod 600"), "{err}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("a mode");
    home.sv("unlock --keyfile key").ok();
    for (name, length) in [
        ("empty", 0),
        ("short", limits::KEY_FILE.start() - 1),
        ("long", limits::KEY_FILE.end() + 1),
    ] {
        private_file(&home.root.join(name), &vec![1; length]);
        home.sv_args(["slot", "add", "--present-keyfile", "key", "--keyfile", name])
            .fails(2);
    }
    assert_eq!(kinds(&home).len(), 3);
    // The agent has bounds of its own, for a client of any making.
    let mut client = home.connect();
    for length in [1, 31, limits::KEY_FILE.end() + 1] {
        let add = Request::SlotAdd {
            present: password(PASSWORD),
            new: key(KeyKind::KeyFile, &vec![1; length]),
            label: String::new(),
        };
        let failure = upkeep::slots(&mut client, add).expect_err("a bad length");
        assert_eq!(failure.kind, Kind::Usage, "{length}");
    }
    for label in ["l".repeat(limits::LABEL + 1), "two\nlines".to_owned()] {
        let add = Request::SlotAdd {
            present: password(PASSWORD),
            new: key(KeyKind::KeyFile, &[1; 32]),
            label,
        };
        let failure = upkeep::slots(&mut client, add).expect_err("a bad label");
        assert_eq!(failure.kind, Kind::Usage);
    }
}

#[test]
fn the_last_slot_stays_as_long_as_there_are_no_shares() {
    let (home, dir) = three_ways();
    home.sv("slot remove server").ok();
    home.sv("slot remove safe").ok();
    let mut client = home.connect();
    let slots = upkeep::slots(&mut client, Request::Slots).expect("slots");
    let last = Request::SlotRemove { slot: slots[0].id };
    let failure = upkeep::slots(&mut client, last).expect_err("it is the last");
    assert_eq!(failure.kind, Kind::Usage, "{failure:?}");
    assert_eq!(kinds(&home), [pair("password", "password")]);
    home.sv("lock").ok();
    home.sv("unlock --keyfile key").fails(6);
    home.sv("unlock --credential sv-key")
        .env("CREDENTIALS_DIRECTORY", &dir)
        .fails(6);
    home.unlock();

    let before = Dump::of(&mut client, &[]);
    let shares = upkeep::distributed(&mut client, 2, 3);
    let last = Request::SlotRemove { slot: slots[0].id };
    let left = upkeep::slots(&mut client, last).expect("there are shares now");
    assert!(left.is_empty());
    assert_eq!(home.get("a"), b"value", "it stays unlocked");
    upkeep::sound(&mut client);
    assert!(!upkeep::opens(&mut client, password(PASSWORD)));
    // Shares are the only way now, and they are one.
    home.kill_agent();
    home.sv("agent start").ok();
    let mut client = home.connect();
    assert!(!upkeep::opens(&mut client, password(PASSWORD)));
    let done = upkeep::recover(&mut client, shares.enough(), "from shares");
    done.expect("an agent").expect("recovered");
    assert!(Dump::of(&mut client, &[]) == before);
    assert!(upkeep::opens(&mut client, password("from shares")));
}

#[test]
fn removed_means_gone() {
    let (home, _) = three_ways();
    let bytes = || {
        let wal = fs::read(home.vault.with_extension("sv-wal"));
        let file = fs::read(&home.vault).expect("the vault");
        [file, wal.unwrap_or_default()].concat()
    };
    let with = bytes();
    home.sv("slot remove safe").ok();
    home.sv("lock").ok();
    home.sv("unlock --keyfile key").fails(6);
    let without = bytes();
    assert!(common::holds(&with, b"safe"), "labels are not secret");
    assert!(
        !common::holds(&without, b"safe"),
        "the slot's bytes are erased"
    );
}

#[test]
fn passwd_with_several_slots() {
    let (home, _) = three_ways();
    // A second password: each is changed by itself.
    home.shell(
        r#"exec "$SV" slot add --password --present-keyfile key --label second \
           --new-password-fd 3 3< <(echo second)"#,
    )
    .ok();
    assert_eq!(kinds(&home).len(), 4);
    home.sv("passwd --password-stdin")
        .input(b"second\nthird\n")
        .ok();
    assert!(
        kinds(&home).contains(&pair("password", "second")),
        "its label stays"
    );
    home.sv("lock").ok();
    home.sv("unlock --password-stdin").line("second").fails(6);
    home.sv("unlock --password-stdin").line("third").ok();
    home.sv("lock").ok();
    home.unlock();
    home.sv("lock").ok();
    home.sv("unlock --keyfile key").ok();
    home.sv("passwd --password-stdin")
        .input(b"wrong\nnew\n")
        .fails(6);
    let lines = format!("{PASSWORD}\nfourth\n");
    home.sv("passwd --password-stdin")
        .input(lines.as_bytes())
        .ok();
    home.sv("lock").ok();
    home.sv("unlock --password-stdin").line(PASSWORD).fails(6);
    for line in ["third", "fourth"] {
        home.sv("unlock --password-stdin").line(line).ok();
        home.sv("lock").ok();
    }
    home.sv("unlock --keyfile key").ok();
    home.sv("verify").ok();
    assert_eq!(kinds(&home).len(), 4);
}

#[test]
fn many_slots() {
    let home = Home::with_vault();
    let mut client = home.connect();
    let mut last = 0;
    for i in 0..60_u8 {
        let add = Request::SlotAdd {
            present: password(PASSWORD),
            new: key(KeyKind::KeyFile, &[i; 32]),
            label: format!("number {i}"),
        };
        match upkeep::slots(&mut client, add) {
            Ok(slots) => assert_eq!(slots.len(), usize::from(i) + 2),
            // There is a limit, which is told before anything breaks.
            Err(failure) => {
                assert_eq!(failure.kind, Kind::Usage, "{failure:?}");
                assert!(i > 10, "room for a dozen: {failure:?}");
                break;
            }
        }
        last = i;
    }
    upkeep::sound(&mut client);
    for i in [0, last] {
        assert!(upkeep::opens(&mut client, key(KeyKind::KeyFile, &[i; 32])));
    }
    assert!(upkeep::opens(&mut client, password(PASSWORD)));
}

fn state(home: &Home) -> State {
    home.connect().status().state
}

/// Starts an agent as systemd does for a service with credentials.
fn service(home: &Home, dir: &Path) -> common::Agent {
    let mut command = home.agent_command();
    command.env("CREDENTIALS_DIRECTORY", dir);
    common::Agent::start(home, command)
}

#[test]
fn a_server_unlocks_by_itself() {
    let (home, dir) = three_ways();
    home.configure("[agent]\nunlock_credential = \"sv-key\"\n");
    for round in 0..2 {
        home.sv("agent stop").ok();
        let agent = service(&home, &dir);
        wait_until("it is unlocked", Duration::from_secs(20), || {
            (state(&home) == State::Unlocked).then_some(())
        });
        assert_eq!(home.get("a"), b"value");
        let credential = fs::read(dir.join("sv-key")).expect("the credential");
        assert!(!common::holds(agent.log().as_bytes(), &credential));
        if round == 0 {
            home.sv("rotate").ok();
        }
        // Locked by a person, it stays locked.
        home.sv("lock").ok();
        assert_eq!(state(&home), State::Locked);
        home.sv("get a").fails(3);
        home.sv("unlock --credential sv-key")
            .env("CREDENTIALS_DIRECTORY", &dir)
            .ok();
    }
    // Without systemd's folder it is an agent like any other.
    home.sv("agent stop").ok();
    let agent = home.start_agent();
    assert_eq!(state(&home), State::Locked);
    drop(agent);
}

#[test]
fn a_server_whose_credential_is_wrong_or_missing_stays_locked() {
    let (home, dir) = three_ways();
    home.sv("agent stop").ok();
    home.configure("[agent]\nunlock_credential = \"sv-key\"\n");
    fs::remove_file(dir.join("sv-key")).expect("it goes");
    for wrong in [None, Some([3; 32])] {
        if let Some(bytes) = wrong {
            private_file(&dir.join("sv-key"), &bytes);
        }
        let agent = service(&home, &dir);
        // It serves, says why, and people can unlock it.
        wait_until("it says why", Duration::from_secs(20), || {
            agent.log().contains("credential").then_some(())
        });
        assert_eq!(state(&home), State::Locked);
        home.unlock();
        assert_eq!(home.get("a"), b"value");
        home.sv("agent stop").ok();
        fs::remove_file(&agent.log).expect("the log goes");
    }
}
