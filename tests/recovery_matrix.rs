//! Which shares open a vault, and what each that does not is told.

mod common;

use common::{
    Home, PASSWORD,
    client::Client,
    random::Random,
    share_text,
    upkeep::{self, Dealt, Dump},
};
use std::{collections::BTreeMap, fs, os::unix::fs::OpenOptionsExt, path::PathBuf};
use sv_proto::{
    Kind, Request, Response, Secret,
    message::{Failure, ShareInfo, State},
};

const NEW_PASSWORD: &str = "after the loss";

/// A vault with secrets and a set in force; its agent has ended.
fn dealt(threshold: u8, count: u8) -> (Home, Dealt) {
    let home = Home::with_vault();
    let mut client = home.connect();
    for i in 0..5 {
        let name = format!("secret-{i}");
        client.add(&name, b"first").expect("a secret");
        client.update(&name, name.as_bytes()).expect("a revision");
    }
    let dealt = upkeep::distributed(&mut client, threshold, count);
    assert_eq!(dealt.at_hand().len(), usize::from(count));
    home.sv("agent stop").ok();
    (home, dealt)
}

/// Every choice of `k` of the numbers below `n`.
fn subsets(n: usize, k: usize) -> Vec<Vec<usize>> {
    (0_u32..1 << n)
        .filter(|mask| mask.count_ones() as usize == k)
        .map(|mask| (0..n).filter(|i| mask >> i & 1 == 1).collect())
        .collect()
}

fn pick(dealt: &Dealt, which: &[usize]) -> Vec<Vec<u8>> {
    which.iter().map(|i| dealt.shares[*i].clone()).collect()
}

/// The client of an agent that holds no keys.
fn locked(home: &Home) -> Client {
    home.sv("agent start").ok();
    let mut client = home.connect();
    assert_eq!(client.status().state, State::Locked);
    client
}

/// What is in the vault file while no agent runs.
fn content(home: &Home) -> Vec<u8> {
    let wal = home.vault.with_extension("sv-wal");
    assert!(
        fs::metadata(wal).map_or(0, |m| m.len()) == 0,
        "all of it is in the file"
    );
    fs::read(&home.vault).expect("the vault")
}

/// Runs `work` with an agent that holds no keys; the vault file stays as it is.
fn unchanged(home: &Home, work: impl FnOnce(&mut Client)) {
    let before = content(home);
    let mut client = locked(home);
    work(&mut client);
    assert_eq!(client.status().state, State::Locked, "nothing was opened");
    home.sv("agent stop").ok();
    assert!(content(home) == before, "the vault file has changed");
}

fn drill(client: &mut Client, shares: &[Vec<u8>]) -> Result<(), Failure> {
    upkeep::drill(client, upkeep::secrets(shares))
}

fn check(client: &mut Client, share: &[u8]) -> Result<ShareInfo, Failure> {
    let share = Secret::new(share.to_vec());
    match client.ask(Request::ShareCheck { share })? {
        Response::Share(info) => Ok(info),
        other => panic!("a share: {other:?}"),
    }
}

#[test]
fn every_subset_of_the_threshold_opens_and_no_smaller_one() {
    let mut random = Random::new(3);
    for (threshold, count) in [(2, 3), (3, 5), (5, 9)] {
        let (home, dealt) = dealt(threshold, count);
        let (k, n) = (usize::from(threshold), usize::from(count));
        unchanged(&home, |client| {
            for mut which in subsets(n, k) {
                let shares = pick(&dealt, &which);
                drill(client, &shares).unwrap_or_else(|e| panic!("{which:?}: {e:?}"));
                // In any order.
                let (a, b) = (random.below(k as u64), random.below(k as u64));
                which.swap(a as usize, b as usize);
                drill(client, &pick(&dealt, &which)).expect("in another order");
            }
            // More than needed, up to all.
            for more in k + 1..=n {
                let which: Vec<usize> = (0..more).collect();
                drill(client, &pick(&dealt, &which)).expect("more than needed");
            }
            for which in subsets(n, k - 1) {
                let failure = drill(client, &pick(&dealt, &which)).expect_err("too few");
                assert_eq!(failure.kind, Kind::WrongShare, "{failure:?}");
                let told = format!("{} of {k}", k - 1);
                assert!(failure.message.contains(&told), "{failure:?}");
            }
            let failure = drill(client, &[]).expect_err("none at all");
            assert_ne!(failure.kind, Kind::Internal, "{failure:?}");
        });
    }
}

/// One share in a file of mode 0600.
fn file(home: &Home, name: &str, share: &[u8]) -> PathBuf {
    let path = home.root.join(name);
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&path).expect("a file");
    std::io::Write::write_all(&mut file, &[share, b"\n"].concat()).expect("its content");
    path
}

#[test]
fn recovery_on_a_machine_that_has_only_the_file() {
    let (home, dealt) = dealt(3, 5);
    let mut client = locked(&home);
    client.unlock(PASSWORD.as_bytes()).expect("unlocked");
    let before = Dump::of(&mut client, &[]);
    home.sv("agent stop").ok();
    for which in [[0, 1, 2], [1, 3, 4], [4, 2, 0]] {
        let other = Home::new();
        let dir = other.vault.parent().expect("a folder");
        common::ordeal::copy_folder(home.vault.parent().expect("a folder"), dir);
        let mut call = vec!["recover".to_owned(), "--password-stdin".to_owned()];
        for i in which {
            let path = file(&other, &format!("share-{i}"), &dealt.shares[i]);
            call.push(path.display().to_string());
        }
        other.sv_args(&call).line(NEW_PASSWORD).ok();

        let mut client = other.connect();
        assert_eq!(client.status().state, State::Unlocked);
        assert!(
            Dump::of(&mut client, &[]) == before,
            "every secret is there"
        );
        client.add("later", b"new").expect("and it can be written");
        upkeep::sound(&mut client);
        assert!(!upkeep::opens(&mut client, upkeep::password(PASSWORD)));
        assert!(upkeep::opens(&mut client, upkeep::password(NEW_PASSWORD)));
        let slots = upkeep::slots(&mut client, Request::Slots).expect("slots");
        assert_eq!(slots.len(), 1, "one password, and nothing else");
        // The shares are good for another time.
        let again = pick(&dealt, &[3, 1, 0]);
        drill(&mut client, &again).expect("they open it");
    }
    // The first machine knows nothing of it.
    let mut client = locked(&home);
    client.unlock(PASSWORD.as_bytes()).expect("its password");
}

#[test]
fn every_flipped_character_is_noticed() {
    let (home, dealt) = dealt(2, 3);
    let share = &dealt.shares[1];
    let mut random = Random::new(7);
    unchanged(&home, |client| {
        let right = check(client, share).expect("the share");
        assert_eq!((right.index, right.threshold, right.count), (2, 2, 3));
        for at in 0..share.len() {
            for _ in 0..3 {
                let mut flipped = share.clone();
                let alphabet = share_text::alphabet();
                while flipped[at].eq_ignore_ascii_case(&share[at]) {
                    flipped[at] = alphabet[random.below(32) as usize];
                }
                damaged(client, &flipped, &format!("another character at {at}"));
            }
            for odd in [b'1', b'b', b'-', 0, 0xff] {
                let mut flipped = share.clone();
                if flipped[at] != odd {
                    flipped[at] = odd;
                    damaged(client, &flipped, &format!("{odd:02x} at {at}"));
                }
            }
            let mut without = share.clone();
            without.remove(at);
            if without != *share {
                damaged(client, &without, &format!("none at {at}"));
            }
            if at + 1 < share.len() && share[at] != share[at + 1] {
                let mut swapped = share.clone();
                swapped.swap(at, at + 1);
                damaged(client, &swapped, &format!("swapped at {at}"));
            }
        }
        for length in 0..share.len() {
            damaged(client, &share[..length], &format!("cut to {length}"));
        }
        for extra in [&b"q"[..], b"qqqqqqqq", b"\0"] {
            damaged(client, &[share.as_slice(), extra].concat(), "too long");
        }
        let twice = [share.as_slice(), share].concat();
        damaged(client, &twice, "twice in a line");
        damaged(client, &vec![b'q'; 1024], "as long as may be");
        damaged(client, &vec![b'q'; 1025], "longer");
        assert_eq!(check(client, share).expect("still"), right);
        // What people add without meaning it.
        let spaced = [b"  ", share.as_slice(), b"\n"].concat();
        assert_eq!(check(client, &spaced).expect("spaces"), right);
        let upper = share.to_ascii_uppercase();
        assert_eq!(check(client, &upper).expect("in capitals"), right);
    });
}

#[track_caller]
fn damaged(client: &mut Client, share: &[u8], what: &str) {
    let failure = check(client, share).expect_err(what);
    assert_eq!(failure.kind, Kind::BadShare, "{what}: {failure:?}");
    assert_eq!(failure.message.lines().count(), 1, "{what}: {failure:?}");
    let share = String::from_utf8_lossy(share);
    for part in share.as_bytes().chunks(16).filter(|c| c.len() == 16) {
        assert!(
            !common::holds(failure.message.as_bytes(), part),
            "{what}: the message repeats a part of the share"
        );
    }
}

/// What is wrong, the shares, the kind of the failure.
type Wrong = (&'static str, Vec<Vec<u8>>, Kind);

/// Sets of shares for 3-of-5 that open nothing, each for a reason of its own.
fn wrong(dealt: &Dealt, retired: &Dealt, foreign: &Dealt, pending: &[Vec<u8>]) -> Vec<Wrong> {
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| dealt.shares[i].clone());
    let crafted = |at, byte| share_text::with_byte(&c, at, byte);
    let mut value = share_text::take_apart(&c);
    value[share_text::SHARE + 9] ^= 0x40;
    let value = share_text::put_together(&value);
    vec![
        ("too few", vec![a.clone(), b.clone()], Kind::WrongShare),
        (
            "a duplicate",
            vec![a.clone(), b.clone(), b.clone()],
            Kind::WrongShare,
        ),
        (
            "a duplicate beside enough",
            vec![a.clone(), b.clone(), d.clone(), a.clone()],
            Kind::WrongShare,
        ),
        (
            "index zero",
            vec![a.clone(), b.clone(), crafted(share_text::INDEX, 0)],
            Kind::BadShare,
        ),
        (
            "an index beyond the count",
            vec![a.clone(), b.clone(), crafted(share_text::INDEX, 6)],
            Kind::BadShare,
        ),
        (
            "a swapped index",
            vec![a.clone(), b.clone(), crafted(share_text::INDEX, 5)],
            Kind::BadShare,
        ),
        (
            "a lower threshold",
            vec![a.clone(), b.clone(), crafted(share_text::THRESHOLD, 2)],
            Kind::BadShare,
        ),
        (
            "another count",
            vec![a.clone(), b.clone(), crafted(share_text::COUNT, 7)],
            Kind::BadShare,
        ),
        (
            "a changed value under right checksums",
            vec![a.clone(), b.clone(), value],
            Kind::BadShare,
        ),
        (
            "a mistyped one",
            vec![a.clone(), b.clone(), {
                let mut typo = c.clone();
                typo[60] = if typo[60] == b'q' { b'p' } else { b'q' };
                typo
            }],
            Kind::BadShare,
        ),
        (
            "one that is cut short",
            vec![a.clone(), b.clone(), c[..90].to_vec()],
            Kind::BadShare,
        ),
        (
            "something else",
            vec![a.clone(), b.clone(), b"my mother's maiden name".to_vec()],
            Kind::BadShare,
        ),
        (
            "another vault's",
            foreign.shares[..3].to_vec(),
            Kind::WrongShare,
        ),
        (
            "one of another vault's",
            vec![a.clone(), b.clone(), foreign.shares[2].clone()],
            Kind::WrongShare,
        ),
        (
            "a retired set",
            retired.shares[..3].to_vec(),
            Kind::WrongShare,
        ),
        (
            "mixed sets",
            vec![a.clone(), b.clone(), retired.shares[2].clone()],
            Kind::WrongShare,
        ),
        (
            "a set that is not in force yet",
            pending.to_vec(),
            Kind::WrongShare,
        ),
        (
            "an unknown set",
            vec![a, b, crafted(share_text::SET, 0xee)],
            Kind::WrongShare,
        ),
        (
            "an unknown vault",
            vec![crafted(share_text::VAULT, 0xee), d.clone(), d],
            Kind::WrongShare,
        ),
    ]
}

/// A vault with a retired set, one in force and a pending one, and the shares of
/// another vault.
fn confusion() -> (Home, Dealt, Vec<Wrong>) {
    let (_other, foreign) = dealt(3, 5);
    let (home, retired) = dealt(3, 5);
    let mut client = locked(&home);
    client.unlock(PASSWORD.as_bytes()).expect("unlocked");
    let active = upkeep::distributed(&mut client, 3, 5);
    let next = upkeep::deal(&mut client, 3, 5);
    let next = next.expect("an agent").expect("a pending set");
    let mut pending = Dealt::default();
    let delivered = upkeep::deliver(&mut client, &next, &mut pending);
    delivered.expect("an agent").expect("shares");
    home.sv("agent stop").ok();
    let wrong = wrong(&active, &retired, &foreign, &pending.shares[..3]);
    (home, active, wrong)
}

#[test]
fn everything_that_opens_nothing_has_a_message_of_its_own() {
    let (home, active, wrong) = confusion();
    unchanged(&home, |client| {
        let mut told: BTreeMap<String, &str> = BTreeMap::new();
        for (what, shares, kind) in &wrong {
            let failure = drill(client, shares).expect_err(what);
            assert_eq!(failure.kind, *kind, "{what}: {failure:?}");
            assert_eq!(failure.message.lines().count(), 1, "{what}: {failure:?}");
            eprintln!("{what}: {}", failure.message);
            told.entry(failure.message).or_insert(what);

            let recovered = upkeep::recover(client, upkeep::secrets(shares), NEW_PASSWORD);
            let failure = recovered.expect("an agent").expect_err(what);
            assert_eq!(failure.kind, *kind, "{what}: {failure:?}");
        }
        // Some are the same mistake in two ways; none hides behind another's words.
        for (one, other) in [
            ("too few", "a duplicate"),
            ("too few", "mixed sets"),
            ("index zero", "a swapped index"),
            ("a mistyped one", "one that is cut short"),
            ("a mistyped one", "something else"),
            ("another vault's", "a retired set"),
            ("a retired set", "a set that is not in force yet"),
            ("a swapped index", "a mistyped one"),
        ] {
            let of = |name| {
                let (_, shares, _) = wrong.iter().find(|(what, ..)| *what == name).expect(name);
                shares.clone()
            };
            let [one, other] = [one, other].map(|name| drill(client, &of(name)).expect_err(name));
            assert_ne!(one.message, other.message);
        }
        assert!(told.len() >= 10, "{told:?}");
        drill(client, &active.shares[..3]).expect("the good ones");
    });
}

#[test]
fn the_client_tells_damage_from_what_does_not_fit() {
    let (home, active, wrong) = confusion();
    unchanged(&home, |_| {
        for (what, shares, kind) in &wrong {
            let code = match kind {
                Kind::BadShare => 8,
                Kind::WrongShare => 6,
                other => panic!("{other:?}"),
            };
            for command in [
                &["recover", "--drill"][..],
                &["recover", "--password-stdin"],
            ] {
                let mut call: Vec<String> = command.iter().map(|&s| s.to_owned()).collect();
                for (i, share) in shares.iter().enumerate() {
                    let path = file(&home, &format!("given-{i}"), share);
                    call.push(path.display().to_string());
                }
                let call = home.sv_args(&call);
                let call = match command.contains(&"--drill") {
                    true => call,
                    false => call.line(NEW_PASSWORD),
                };
                let err = call.fails(code);
                for share in shares.iter().filter(|s| s.len() > 40) {
                    let part = &share[30..50];
                    assert!(!common::holds(err.as_bytes(), part), "{what}: {err}");
                }
            }
        }
        let files: Vec<String> = (0..3)
            .map(|i| {
                let path = file(&home, &format!("good-{i}"), &active.shares[i]);
                path.display().to_string()
            })
            .collect();
        let call = [vec!["recover".to_owned(), "--drill".to_owned()], files].concat();
        home.sv_args(&call).ok();
    });
}

#[test]
fn a_vault_without_shares_says_so() {
    let home = Home::with_vault();
    home.sv("agent stop").ok();
    let (_other, foreign) = dealt(2, 3);
    unchanged(&home, |client| {
        let failure = drill(client, &foreign.shares).expect_err("no shares exist");
        assert_eq!(failure.kind, Kind::WrongShare, "{failure:?}");
        let mut own = share_text::take_apart(&foreign.shares[0]);
        let id = client.status().vault_id.expect("a vault");
        own[share_text::VAULT..share_text::SET].copy_from_slice(&id);
        let own = share_text::put_together(&own);
        let failure = check(client, &own).expect_err("no shares exist");
        assert_eq!(failure.kind, Kind::WrongShare, "{failure:?}");
    });
}
