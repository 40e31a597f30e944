//! A disk that fails, a disk that is full, and an agent that is killed, at each
//! write and sync while a backup becomes the vault or is added to it.

mod common;

use common::{
    Home,
    base::{Base, STAGED, names, unlocked},
    ordeal::{Case, Outcome, Seed, State, World, matrix},
    upkeep::{self, Dump},
};
use std::{fs, os::unix::fs::OpenOptionsExt, path::Path};
use sv_proto::{Request, Response, message::State as Shown};

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
        45
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
        45
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
