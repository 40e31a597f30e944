//! A disk that fails, a disk that is full, and an agent that is killed, at each
//! write and sync of the commands that renew keys or bring a vault back: the
//! vault is as before or as after, and never something in between.

mod common;

use common::{
    Home, PASSWORD,
    faults::{Case, Outcome, Seed, State, World, matrix},
    upkeep::{self, Dealt, Dump, key_file, password},
};
use std::{fs, os::unix::fs::OpenOptionsExt, path::Path};
use sv_proto::{
    Request, Response, Secret,
    message::{KeyKind, SetState, State as Shown},
};

const NEW_PASSWORD: &str = "another one altogether";
const STAGED: &str = "vault.sv.restore-0123456789abcdef";

/// Names of all secrets that the seed ever had.
fn names() -> Vec<String> {
    (0..20).map(|i| format!("team/secret-{i:02}")).collect()
}

/// A vault of 20 secrets with histories, one deleted, a password, a key file and
/// shares; what it holds, the shares, and its epoch.
struct Base {
    seed: Seed,
    dump: Dump,
    shares: Dealt,
    epoch: u64,
}

impl Base {
    fn new() -> Self {
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
    fn whole(&self, world: &mut World, dump: &Dump) {
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
fn unlocked(world: &mut World) {
    let mut client = world.client();
    upkeep::unlock(&mut client, key_file()).expect("the key file opens it");
}

struct Rotate<'a>(&'a Base);

impl Case for Rotate<'_> {
    type Kept = ();

    fn name(&self) -> &'static str {
        "rotate"
    }

    fn tries(&self) -> usize {
        100
    }

    fn begin(&self, world: &mut World) {
        unlocked(world);
    }

    fn act(&self, world: &mut World, (): &mut ()) -> Outcome {
        Outcome::of(upkeep::rotate(&mut world.client()))
    }

    fn judge(&self, world: &mut World, (): &()) -> State {
        unlocked(world);
        self.0.whole(world, &self.0.dump);
        let mut client = world.client();
        let shares = self.0.shares.enough();
        upkeep::drill(&mut client, shares).expect("the shares survive");
        let slots = upkeep::slots(&mut client, Request::Slots).expect("slots");
        assert_eq!(slots.len(), 2, "both slots survive");
        match client.status().epoch.expect("unlocked") {
            epoch if epoch == self.0.epoch => State::Old,
            _ => State::New,
        }
    }

    fn again(&self, world: &mut World, (): &mut ()) {
        unlocked(world);
        let before = world.client().status().epoch;
        let rotated = upkeep::rotate(&mut world.client());
        let rotated = rotated.expect("an agent").expect("a rotation");
        assert_eq!(Some(rotated.epoch), before.map(|epoch| epoch + 1));
    }
}

#[test]
fn rotate() {
    let base = Base::new();
    matrix(&base.seed, &Rotate(&base));
}

struct RotatePassword<'a>(&'a Base);

/// Which of the two passwords is in force: exactly one.
fn in_force(world: &mut World) -> State {
    let mut client = world.client();
    let old = upkeep::opens(&mut client, password(PASSWORD));
    let new = upkeep::opens(&mut client, password(NEW_PASSWORD));
    match (old, new) {
        (true, false) => State::Old,
        (false, true) => State::New,
        both => panic!("exactly one password opens it: {both:?}"),
    }
}

fn change() -> (Secret, Secret) {
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    (secret(PASSWORD), secret(NEW_PASSWORD))
}

impl Case for RotatePassword<'_> {
    type Kept = ();

    fn name(&self) -> &'static str {
        "rotate with a new password"
    }

    fn tries(&self) -> usize {
        20
    }

    fn begin(&self, world: &mut World) {
        unlocked(world);
    }

    fn act(&self, world: &mut World, (): &mut ()) -> Outcome {
        let passwords = Some(change());
        let request = Request::Rotate { passwords };
        Outcome::of(upkeep::finish(&mut world.client(), request))
    }

    fn judge(&self, world: &mut World, (): &()) -> State {
        let state = in_force(world);
        unlocked(world);
        self.0.whole(world, &self.0.dump);
        let epoch = world.client().status().epoch.expect("unlocked");
        let renewed = epoch != self.0.epoch;
        assert_eq!(renewed, state == State::New, "key and password together");
        state
    }

    fn again(&self, world: &mut World, (): &mut ()) {
        if in_force(world) == State::Old {
            unlocked(world);
            let done = self.act(world, &mut ());
            assert!(matches!(done, Outcome::Done), "{done:?}");
        }
    }
}

#[test]
fn rotate_with_a_new_password() {
    let base = Base::new();
    matrix(&base.seed, &RotatePassword(&base));
}

struct Passwd<'a>(&'a Base);

impl Case for Passwd<'_> {
    type Kept = ();

    fn name(&self) -> &'static str {
        "passwd"
    }

    fn tries(&self) -> usize {
        40
    }

    fn begin(&self, world: &mut World) {
        unlocked(world);
    }

    fn act(&self, world: &mut World, (): &mut ()) -> Outcome {
        let (old, new) = change();
        Outcome::of(world.client().try_ask(Request::Passwd { old, new }))
    }

    fn judge(&self, world: &mut World, (): &()) -> State {
        let state = in_force(world);
        unlocked(world);
        self.0.whole(world, &self.0.dump);
        assert_eq!(world.client().status().epoch, Some(self.0.epoch));
        state
    }

    fn again(&self, world: &mut World, (): &mut ()) {
        if in_force(world) == State::Old {
            unlocked(world);
            let done = self.act(world, &mut ());
            assert!(matches!(done, Outcome::Done), "{done:?}");
        }
    }
}

#[test]
fn passwd() {
    let base = Base::new();
    matrix(&base.seed, &Passwd(&base));
}

struct Distribute<'a>(&'a Base);

impl Case for Distribute<'_> {
    type Kept = Dealt;

    fn name(&self) -> &'static str {
        "distribute"
    }

    fn tries(&self) -> usize {
        90
    }

    fn begin(&self, world: &mut World) {
        unlocked(world);
    }

    fn act(&self, world: &mut World, kept: &mut Dealt) -> Outcome {
        Outcome::of(upkeep::distribute(&mut world.client(), 3, 4, kept))
    }

    fn judge(&self, world: &mut World, kept: &Dealt) -> State {
        unlocked(world);
        self.0.whole(world, &self.0.dump);
        let mut client = world.client();
        let active = upkeep::set(&mut client, SetState::Active).expect("a set in force");
        let old = self.0.shares.enough();
        if active.set == self.0.shares.set {
            upkeep::drill(&mut client, old).expect("the old shares are good");
            if kept.at_hand().len() >= kept.threshold && kept.threshold > 0 {
                let failure = upkeep::drill(&mut client, kept.enough());
                failure.expect_err("shares of a set that is not in force open nothing");
            }
            assert_eq!(client.status().epoch, Some(self.0.epoch));
            return State::Old;
        }
        assert_eq!(active.set, kept.set, "the set that was dealt");
        upkeep::drill(&mut client, kept.enough()).expect("the new shares are good");
        upkeep::drill(&mut client, old).expect_err("the old ones are retired");
        assert_ne!(client.status().epoch, Some(self.0.epoch));
        State::New
    }

    fn again(&self, world: &mut World, kept: &mut Dealt) {
        unlocked(world);
        let mut client = world.client();
        if let Some(pending) = upkeep::set(&mut client, SetState::Pending) {
            let delivered = upkeep::deliver(&mut client, &pending, kept);
            delivered.expect("an agent").expect("what was left");
            let done = upkeep::commit(&mut client, pending.set, false);
            done.expect("an agent").expect("in force");
            return;
        }
        let active = upkeep::set(&mut client, SetState::Active).expect("a set in force");
        if active.set == self.0.shares.set {
            let done = upkeep::distribute(&mut client, 3, 4, kept);
            done.expect("an agent").expect("in force");
        }
    }
}

#[test]
fn distribute() {
    let base = Base::new();
    matrix(&base.seed, &Distribute(&base));
}

struct Recover<'a>(&'a Base);

impl Case for Recover<'_> {
    type Kept = ();

    fn name(&self) -> &'static str {
        "recover"
    }

    fn tries(&self) -> usize {
        45
    }

    fn begin(&self, world: &mut World) {
        // Opened, and locked.
        assert_eq!(world.client().status().state, Shown::Locked);
    }

    fn act(&self, world: &mut World, (): &mut ()) -> Outcome {
        let shares = self.0.shares.enough();
        Outcome::of(upkeep::recover(&mut world.client(), shares, NEW_PASSWORD))
    }

    fn judge(&self, world: &mut World, (): &()) -> State {
        let mut client = world.client();
        let old = upkeep::opens(&mut client, key_file());
        let state = if old {
            let new = upkeep::opens(&mut client, password(NEW_PASSWORD));
            assert!(!new, "one of them, and not both");
            unlocked(world);
            State::Old
        } else {
            let new = upkeep::opens(&mut client, password(NEW_PASSWORD));
            assert!(new, "the old key or the new password opens it");
            State::New
        };
        self.0.whole(world, &self.0.dump);
        let shares = self.0.shares.enough();
        upkeep::drill(&mut world.client(), shares).expect("the shares are good");
        state
    }

    fn again(&self, world: &mut World, (): &mut ()) {
        upkeep::lock(&mut world.client());
        let done = self.act(world, &mut ());
        assert!(matches!(done, Outcome::Done), "{done:?}");
    }
}

#[test]
fn recover() {
    let base = Base::new();
    matrix(&base.seed, &Recover(&base));
}

/// Puts a file beside the vault as a client does.
fn stage(home: &Home, bytes: &[u8]) {
    let at = home.vault.with_file_name(STAGED);
    if at.exists() {
        return;
    }
    let mut options = fs::File::options();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(at).expect("a new file");
    std::io::Write::write_all(&mut file, bytes).expect("its content");
}

fn restore(world: &mut World) -> Outcome {
    let request = Request::Restore {
        file: STAGED.to_owned(),
        key: None,
        shares: Vec::new(),
    };
    Outcome::of(upkeep::finish(&mut world.client(), request))
}

/// Takes away the copy that the agent made.
fn take_backup(world: &mut World) -> Vec<u8> {
    let name = upkeep::backup(&mut world.client(), true);
    let name = name.expect("an agent").expect("a copy");
    let path = world.home.vault.with_file_name(name);
    let bytes = fs::read(&path).expect("the copy");
    fs::remove_file(path).expect("it goes");
    bytes
}

/// A vault out of a copy.
struct RestoreNew<'a> {
    base: &'a Base,
    copy: Vec<u8>,
}

impl Case for RestoreNew<'_> {
    type Kept = ();

    fn name(&self) -> &'static str {
        "restore as a new vault"
    }

    fn tries(&self) -> usize {
        60
    }

    fn begin(&self, world: &mut World) {
        for name in ["data/sv", "state"] {
            fs::remove_dir_all(world.home.root.join(name)).expect("nothing is here");
        }
        let dir = world.home.vault.parent().expect("a folder");
        make_dir(dir);
        make_dir(&world.home.root.join("state"));
        stage(&world.home, &self.copy);
        assert_eq!(world.client().status().state, Shown::NoVault);
    }

    fn act(&self, world: &mut World, (): &mut ()) -> Outcome {
        restore(world)
    }

    fn judge(&self, world: &mut World, (): &()) -> State {
        let state = world.client().status().state;
        if state == Shown::NoVault {
            assert!(!world.home.vault.exists(), "no file is no vault");
            return State::Old;
        }
        unlocked(world);
        self.base.whole(world, &self.base.dump);
        State::New
    }

    fn again(&self, world: &mut World, (): &mut ()) {
        if world.client().status().state == Shown::NoVault {
            stage(&world.home, &self.copy);
            let done = restore(world);
            assert!(matches!(done, Outcome::Done), "{done:?}");
        }
    }
}

fn make_dir(at: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(at).expect("a folder");
}

#[test]
fn restore_as_a_new_vault() {
    let base = Base::new();
    let mut world = base.seed.copy();
    unlocked(&mut world);
    let copy = take_backup(&mut world);
    matrix(&base.seed, &RestoreNew { base: &base, copy });
}

/// Two that went on from one copy, put together.
struct RestoreMerge<'a> {
    base: &'a Base,
    copy: Vec<u8>,
    before: Dump,
    after: Dump,
}

impl Case for RestoreMerge<'_> {
    type Kept = ();

    fn name(&self) -> &'static str {
        "restore into a vault"
    }

    fn tries(&self) -> usize {
        60
    }

    fn begin(&self, world: &mut World) {
        stage(&world.home, &self.copy);
        unlocked(world);
    }

    fn act(&self, world: &mut World, (): &mut ()) -> Outcome {
        restore(world)
    }

    fn judge(&self, world: &mut World, (): &()) -> State {
        unlocked(world);
        let found = Dump::of(&mut world.client(), &names());
        let (state, dump) = if found == self.before {
            (State::Old, &self.before)
        } else {
            (State::New, &self.after)
        };
        self.base.whole(world, dump);
        state
    }

    fn again(&self, world: &mut World, (): &mut ()) {
        unlocked(world);
        stage(&world.home, &self.copy);
        let done = restore(world);
        assert!(matches!(done, Outcome::Done), "{done:?}");
    }
}

/// Changes a vault in ways that differ by `side`.
fn diverge(world: &mut World, side: &str) {
    let mut client = world.client();
    for i in 0..4 {
        let value = format!("{side} {i}");
        let name = format!("{side}/secret-{i}");
        client.add(&name, value.as_bytes()).expect("a secret");
    }
    let name = &names()[usize::from(side == "here") + 7];
    client.update(name, side.as_bytes()).expect("a revision");
    let name = &names()[5];
    client.update(name, side.as_bytes()).expect("a conflict");
}

#[test]
fn restore_into_a_vault() {
    let base = Base::new();
    let mut there = base.seed.copy();
    unlocked(&mut there);
    diverge(&mut there, "there");
    let copy = take_backup(&mut there);
    drop(there);

    let mut here = base.seed.copy();
    unlocked(&mut here);
    diverge(&mut here, "here");
    let before = Dump::of(&mut here.client(), &names());
    here.home.sv("agent stop").ok();
    here.kill();
    let seed = Seed::new(here.home);

    // Once without any fault, to see what comes out.
    let mut clean = seed.copy();
    stage(&clean.home, &copy);
    unlocked(&mut clean);
    let request = Request::Restore {
        file: STAGED.to_owned(),
        key: None,
        shares: Vec::new(),
    };
    match upkeep::finish(&mut clean.client(), request) {
        Ok(Ok(Response::Restored(restored))) => {
            assert!(!restored.created);
            assert_eq!(restored.secrets, 4);
            assert_eq!(restored.revisions, 6);
            assert_eq!(restored.conflicts, 1);
        }
        other => panic!("restore: {other:?}"),
    }
    let after = Dump::of(&mut clean.client(), &names());
    assert!(after != before);
    drop(clean);
    let merge = RestoreMerge {
        base: &base,
        copy,
        before,
        after,
    };
    matrix(&seed, &merge);
}

#[test]
fn a_key_file_is_not_a_credential() {
    // The cases above unlock with the key file: it must not be that anything does.
    let base = Base::new();
    let mut world = base.seed.copy();
    let mut client = world.client();
    assert!(!upkeep::opens(
        &mut client,
        upkeep::key(KeyKind::KeyFile, &[1; 48])
    ));
    assert!(upkeep::opens(&mut client, key_file()));
}
