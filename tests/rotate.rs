//! New keys: what survives, and what opens nothing any more.

mod common;

use common::{
    Home, PASSWORD, client,
    ordeal::copy_folder,
    upkeep::{self, Dealt, Dump, epoch, key_file, password, rotated},
};
use std::{fs, path::Path};
use sv_proto::{Kind, Request, Secret, message::SetState};
use sv_vault_core::inspect;

const NEW_PASSWORD: &str = "a new one with the new keys";

fn private_folder(at: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(at).expect("a folder");
}

/// A vault of a few secrets with histories, a key file and shares.
fn furnished() -> (Home, Dealt) {
    let home = Home::with_vault();
    let mut client = home.connect();
    for i in 0..30 {
        let name = format!("secret-{i}");
        client
            .add(&name, format!("{i} first").as_bytes())
            .expect("a secret");
        for rev in 0..i % 13 {
            let value = format!("{i} {rev}");
            client.update(&name, value.as_bytes()).expect("a revision");
        }
    }
    let renamed = Request::Rename {
        old: "secret-7".to_owned(),
        new: "renamed".to_owned(),
    };
    client.ask(renamed).expect("another name");
    for (name, purge) in [("secret-8", false), ("secret-9", true)] {
        let name = name.to_owned();
        client
            .ask(Request::Delete { name, purge })
            .expect("deleted");
    }
    let added = Request::SlotAdd {
        present: password(PASSWORD),
        new: key_file(),
        label: "in the safe".to_owned(),
    };
    upkeep::slots(&mut client, added).expect("a key file");
    let shares = upkeep::distributed(&mut client, 2, 3);
    (home, shares)
}

#[test]
fn what_survives() {
    let (home, shares) = furnished();
    let mut client = home.connect();
    let names: Vec<String> = (0..30).map(|i| format!("secret-{i}")).collect();
    let before = Dump::of(&mut client, &names);
    let slots = upkeep::slots(&mut client, Request::Slots).expect("slots");
    let first = epoch(&mut client);
    for round in 1..=3 {
        assert_eq!(rotated(&mut client), first + round);
        // Ids, authors, times, numbers and values of all revisions.
        assert!(Dump::of(&mut client, &names) == before, "round {round}");
        let now = upkeep::slots(&mut client, Request::Slots).expect("slots");
        assert_eq!(now, slots, "the same slots, ids and labels");
        upkeep::sound(&mut client);
        upkeep::drill(&mut client, shares.enough()).expect("the shares are good");
        assert!(upkeep::opens(&mut client, key_file()));
        assert!(upkeep::opens(&mut client, password(PASSWORD)));
        assert!(Dump::of(&mut client, &names) == before, "unlocked anew");
    }
    home.kill_agent();
    home.unlock();
    let mut client = home.connect();
    assert!(Dump::of(&mut client, &names) == before, "another agent");
    // Everything goes on.
    client.add("later", b"1").expect("a secret");
    client.update("secret-5", b"2").expect("a revision");
    let revert = Request::Revert {
        name: "secret-8".to_owned(),
        rev: 1,
    };
    client.ask(revert).expect("back from the dead");
    assert_eq!(client.get("secret-8").expect("a value"), b"8 first");
    let dealing = upkeep::set(&mut client, SetState::Active).expect("the set");
    assert_eq!(dealing.set, shares.set);
    home.sv("verify").ok();
}

#[test]
fn old_shares_recover_after_a_rotation() {
    let (home, shares) = furnished();
    let mut client = home.connect();
    rotated(&mut client);
    client
        .add("later", b"written under the new keys")
        .expect("a secret");
    rotated(&mut client);
    let before = Dump::of(&mut client, &[]);
    upkeep::lock(&mut client);
    let done = upkeep::recover(&mut client, shares.enough(), NEW_PASSWORD);
    done.expect("an agent").expect("the old shares");
    assert!(Dump::of(&mut client, &[]) == before);
    upkeep::sound(&mut client);
    assert!(!upkeep::opens(&mut client, key_file()));
    assert!(!upkeep::opens(&mut client, password(PASSWORD)));
    assert!(upkeep::opens(&mut client, password(NEW_PASSWORD)));
}

/// Copies the vault while no agent serves it.
fn copy_of(home: &Home, name: &str) -> std::path::PathBuf {
    home.sv("agent stop").ok();
    let dir = home.root.join(name);
    copy_folder(home.vault.parent().expect("a folder"), &dir);
    home.unlock();
    dir.join("vault.sv")
}

/// All bytes of the vault's files.
fn bytes_of(vault: &Path) -> Vec<u8> {
    common::files(vault.parent().expect("a folder"))
        .into_iter()
        .filter(|(path, _)| !path.to_string_lossy().contains(".audit"))
        .flat_map(|(_, bytes)| bytes)
        .collect()
}

#[test]
fn earlier_keys_open_nothing_written_later() {
    let (home, _) = furnished();
    let old = copy_of(&home, "old");
    let earlier = inspect::secrets(&old, PASSWORD.as_bytes()).expect("its keys");
    let (opened, all) = inspect::opened(&old, &earlier).expect("a vault");
    // All but the wrap for the recovery key.
    assert_eq!(opened + 1, all, "of their own vault they open everything");
    let replaced = inspect::wrapped(&old).expect("its wraps");

    let mut client = home.connect();
    rotated(&mut client);
    // What was replaced is not left over anywhere, though the agent still runs.
    // A page may end in the middle of one: then one half is whole.
    let halves = |bytes: &[u8], wrap: &[u8]| {
        let (one, other) = wrap.split_at(wrap.len() / 2);
        common::holds(bytes, one) || common::holds(bytes, other)
    };
    let now = bytes_of(&home.vault);
    for wrap in &replaced {
        assert!(!halves(&now, wrap), "a replaced key is still there");
    }
    client.add("later", b"a new secret").expect("a secret");
    client
        .update("secret-5", b"a new value")
        .expect("a revision");
    let new = copy_of(&home, "new");
    let (opened, now) = inspect::opened(&new, &earlier).expect("a vault");
    assert_eq!(now, all + 2, "two revisions more");
    assert_eq!(opened, 0, "not one key");
    let later = inspect::secrets(&new, PASSWORD.as_bytes()).expect("its keys");
    let (opened, all) = inspect::opened(&new, &later).expect("a vault");
    assert_eq!(opened + 1, all);
    for (name, secret) in &earlier {
        let kept = later.iter().any(|(_, other)| other == secret);
        // The slots stay as they are: what opens them is not the vault's.
        assert_eq!(kept, name.starts_with("slot "), "{name}");
    }
    // The old copy is what it was.
    let before = bytes_of(&old);
    assert!(replaced.iter().all(|wrap| halves(&before, wrap)));
}

#[test]
fn a_leaked_password_ends_with_the_keys() {
    let (home, _) = furnished();
    let old = copy_of(&home, "old");
    let earlier = inspect::secrets(&old, PASSWORD.as_bytes()).expect("its keys");
    let before = Dump::of(&mut home.connect(), &[]);

    home.sv("rotate --password --password-stdin")
        .input(format!("wrong\n{NEW_PASSWORD}\n").as_bytes())
        .fails(6);
    home.sv("rotate --password --password-stdin")
        .input(format!("{PASSWORD}\n{NEW_PASSWORD}\n").as_bytes())
        .ok();
    home.sv("lock").ok();
    home.sv("unlock --password-stdin").line(PASSWORD).fails(6);
    home.sv("unlock --password-stdin").line(NEW_PASSWORD).ok();
    let mut client = home.connect();
    assert!(Dump::of(&mut client, &[]) == before);
    assert!(
        upkeep::opens(&mut client, key_file()),
        "the other slot stays"
    );
    let slots = upkeep::slots(&mut client, Request::Slots).expect("slots");
    assert_eq!(slots.len(), 2);
    upkeep::sound(&mut client);
    home.sv("agent stop").ok();

    inspect::secrets(&home.vault, PASSWORD.as_bytes()).expect_err("no slot opens");
    let (opened, _) = inspect::opened(&home.vault, &earlier).expect("a vault");
    assert_eq!(opened, 0);
    // The copy from before still opens: it can't be otherwise.
    let copied = home.sv_args(["--vault", old.to_str().expect("UTF-8")]);
    let copied = copied.arg("unlock").arg("--password-stdin");
    let socket = home.root.join("run/other.sock");
    copied.arg("--socket").arg(&socket).line(PASSWORD).ok();
    let stop = home.sv_args(["agent", "stop", "--socket"]).arg(&socket);
    stop.ok();
}

#[test]
fn new_shares_with_new_keys() {
    let (home, shares) = furnished();
    let out = home.root.join("out");
    private_folder(&out);
    let before = epoch(&mut home.connect());
    home.sv("rotate --shares=5 --threshold 3 --out out").ok();
    let mut client = home.connect();
    assert!(epoch(&mut client) > before);
    let failure = upkeep::drill(&mut client, shares.enough()).expect_err("retired");
    assert_eq!(failure.kind, Kind::WrongShare, "{failure:?}");
    home.sv("recover --drill out/share-1-of-5.sv out/share-3-of-5.sv out/share-5-of-5.sv")
        .ok();
    home.sv("recover --drill out/share-1-of-5.sv out/share-3-of-5.sv")
        .fails(6);
}

#[test]
fn only_the_unlocked_vault_gets_new_keys() {
    let home = Home::with_vault();
    home.sv("lock").ok();
    home.sv("rotate").fails(3);
    let mut client = home.connect();
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    let passwords = Some((secret(PASSWORD), secret(NEW_PASSWORD)));
    let refused = client.ask(Request::Rotate { passwords });
    assert_eq!(client::kind(refused), Kind::Locked);
    home.unlock();
    let first = epoch(&mut client);
    let passwords = Some((secret("wrong"), secret(NEW_PASSWORD)));
    let refused = client.ask(Request::Rotate { passwords });
    assert_eq!(client::kind(refused), Kind::WrongPassword);
    assert_eq!(epoch(&mut client), first);
    // Nothing to renew but the keys.
    let told = home.sv("rotate --json").json();
    assert_eq!(told["epoch"], first + 1);
    assert_eq!(told["secrets"], 0);
}
