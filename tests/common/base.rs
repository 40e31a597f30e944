//! The vault that commands meet faults with.

use super::{
    Home, PASSWORD,
    ordeal::{Seed, World},
    upkeep::{self, Dealt, Dump, key_file, password},
};
use std::fs;
use sv_proto::Request;

/// What a command changes the password to.
pub const NEW_PASSWORD: &str = "another one altogether";
/// A file that a client put beside the vault.
pub const STAGED: &str = "vault.sv.restore-0123456789abcdef";

/// Names of all secrets that the seed ever had.
pub fn names() -> Vec<String> {
    (0..20).map(|i| format!("team/secret-{i:02}")).collect()
}

/// A vault of 20 secrets with histories, one deleted, a password, a key file and
/// shares; what it holds, the shares, and its epoch.
pub struct Base {
    /// To be copied.
    pub seed: Seed,
    /// What it holds.
    pub dump: Dump,
    /// The shares in force.
    pub shares: Dealt,
    /// The number of its epoch.
    pub epoch: u64,
}

impl Base {
    /// Makes it.
    pub fn new() -> Self {
        let home = Home::with_vault();
        let mut client = home.connect();
        for (i, name) in names().iter().enumerate() {
            let value = |rev: usize| format!("{name} {rev} ").repeat(1 + 7 * i).into_bytes();
            client.add(name, &value(1)).expect("a secret");
            for rev in 2..2 + i % 4 {
                client.update(name, &value(rev)).expect("a revision");
            }
        }
        let gone = Request::Delete {
            name: names()[3].clone(),
            purge: false,
        };
        client.ask(gone).expect("one is gone");
        let added = Request::SlotAdd {
            present: password(PASSWORD),
            new: key_file(),
            label: "key file".to_owned(),
        };
        let slots = upkeep::slots(&mut client, added).expect("a slot more");
        assert_eq!(slots.len(), 2);
        let shares = upkeep::distributed(&mut client, 2, 3);
        let dump = Dump::of(&mut client, &names());
        let epoch = client.status().epoch.expect("unlocked");
        upkeep::sound(&mut client);
        home.sv("agent stop").ok();
        Self {
            seed: Seed::new(home),
            dump,
            shares,
            epoch,
        }
    }

    /// Unlocked, everything is there and nothing is off.
    pub fn whole(&self, world: &mut World, dump: &Dump) {
        let mut client = world.client();
        let found = Dump::of(&mut client, &names());
        assert!(found == *dump, "secrets changed: {found:#?}\nnot {dump:#?}");
        upkeep::sound(&mut client);
        tidy(&world.home);
    }
}

/// Nothing is left beside the vault but what belongs there.
fn tidy(home: &Home) {
    let dir = home.vault.parent().expect("a folder");
    for entry in fs::read_dir(dir).expect("a folder") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("UTF-8");
        let known = ["vault.sv", "vault.sv-wal", "vault.sv.lock", STAGED];
        assert!(
            known.contains(&name) || name.starts_with("vault.sv.audit"),
            "{name} is left over"
        );
    }
}

/// Unlocks with the key file, which every state but a recovered one has.
pub fn unlocked(world: &mut World) {
    let mut client = world.client();
    upkeep::unlock(&mut client, key_file()).expect("the key file opens it");
}
