//! A disk that fails, a disk that is full, and an agent that is killed, at each
//! write and sync of the commands that renew keys: the vault is as before or as
//! after, and never something in between. `faults_restore.rs` does the same with
//! a vault that is brought back.

mod common;

use common::{
    PASSWORD,
    base::{Base, NEW_PASSWORD, unlocked},
    faults::{self, Fault, Injection},
    ordeal::{Case, Outcome, State, World, matrix},
    upkeep::{self, Dealt, key_file, password},
};
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use sv_proto::{
    Request, Secret,
    message::{KeyKind, SetState, State as Shown},
};

struct Rotate<'a>(&'a Base);

impl Case for Rotate<'_> {
    type Kept = ();

    fn name(&self) -> &'static str {
        "rotate"
    }

    fn tries(&self) -> usize {
        60
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
        12
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
        30
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
        60
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
        30
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

/// The client that writes the shares: killed at each of its calls, and at a disk
/// that fails it.
#[test]
fn the_client_that_distributes() {
    const CALL: [&str; 7] = [
        "distribute",
        "--out",
        "out",
        "--shares",
        "4",
        "--threshold",
        "3",
    ];
    let base = Base::new();
    let begin = |world: &mut World| {
        unlocked(world);
        make_dir(&world.home.root.join("out"));
    };
    let mut clean = base.seed.copy();
    begin(&mut clean);
    let (done, lines) = faults::client(&clean.home, &CALL, None);
    done.ok();
    drop(clean);
    let calls = faults::client_calls(&lines);
    let talk = ["connect", "sendto", "sendmsg", "recvfrom", "read"];
    let files = |call: &faults::Call| !talk.contains(&call.name.as_str());
    assert!(
        calls.iter().filter(|call| files(call)).count() >= 4 * 4,
        "{calls:?}"
    );
    let injections: Vec<Injection> = calls
        .iter()
        .flat_map(|call| {
            let faults = match files(call) {
                true => &Fault::ALL[..],
                false => &[Fault::Kill],
            };
            faults.iter().map(|fault| Injection {
                call: call.clone(),
                fault: *fault,
            })
        })
        .collect();
    let stride = match faults::everything() {
        true => 1,
        false => injections.len().div_ceil(60),
    };
    let chosen: Vec<&Injection> = injections.iter().step_by(stride).collect();
    let next = AtomicUsize::new(0);
    let attempt = |injection: &Injection| {
        let _context = Named(injection);
        let mut world = base.seed.copy();
        begin(&mut world);
        let (done, _) = faults::client(&world.home, &CALL, Some(injection));
        let code = done.code();
        assert!(
            [0, 1, 2, 10, 128 + libc::SIGKILL].contains(&code),
            "{code}: {}",
            done.err
        );

        base.whole(&mut world, &base.dump);
        let mut client = world.client();
        let active = upkeep::set(&mut client, SetState::Active).expect("a set in force");
        let pending = upkeep::set(&mut client, SetState::Pending);
        if active.set == base.shares.set {
            assert_ne!(code, 0, "what was acknowledged holds");
            upkeep::drill(&mut client, base.shares.enough()).expect("the old ones are good");
            // As the hint says; where it had not come to shares, anew.
            match pending {
                Some(_) => world.home.sv("distribute --resume --out out").ok(),
                None => world.home.sv_args(CALL).ok(),
            };
        } else {
            assert!(pending.is_none());
        }
        let three = "recover --drill out/share-4-of-4.sv out/share-1-of-4.sv out/share-2-of-4.sv";
        world.home.sv(three).ok();
        world
            .home
            .sv("recover --drill out/share-3-of-4.sv out/share-1-of-4.sv out/share-2-of-4.sv")
            .ok();
        let left = upkeep::drill(&mut world.client(), base.shares.enough());
        left.expect_err("the old ones are retired");
        code
    };
    let codes: Vec<i32> = thread::scope(|scope| {
        let worker = || {
            let mut codes = Vec::new();
            while let Some(injection) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                codes.push(attempt(injection));
            }
            codes
        };
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers
            .into_iter()
            .flat_map(|w| w.join().expect("no try failed"))
            .collect()
    });
    let finished = codes.iter().filter(|code| **code == 0).count();
    eprintln!(
        "the client of distribute: {} calls, {} faults tried of {}; it finished {finished} times",
        calls.len(),
        chosen.len(),
        injections.len()
    );
    assert!(finished < codes.len() / 2, "most faults are noticed");
}

/// Names the fault when a check fails.
struct Named<'a>(&'a Injection);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{:?} was that", self.0);
        }
    }
}

fn make_dir(at: &Path) {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(at).expect("a folder");
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
