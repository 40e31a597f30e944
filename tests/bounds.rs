//! What the agent bounds in requests about keys, shares, copies and the log,
//! whoever made the client. Each refusal is told by the gate itself: what is
//! too large goes no further.

mod common;

use common::Home;
use sv_proto::{
    Kind, Request, Secret, limits,
    message::{HolderKind, Key, KeyKind},
};

fn long(n: usize) -> Secret {
    Secret::new(vec![b'x'; n])
}

fn key(kind: KeyKind, n: usize) -> Key {
    Key {
        kind,
        secret: long(n),
    }
}

fn slot_add(present: Key, new: Key, label: String) -> Request {
    Request::SlotAdd {
        present,
        new,
        label,
    }
}

fn delivered(holder: String) -> Request {
    Request::ShareDelivered {
        set: [1; 16],
        index: 1,
        kind: HolderKind::File,
        holder,
    }
}

fn restore(file: &str, key: Option<Key>, shares: Vec<Secret>) -> Request {
    Request::Restore {
        file: file.to_owned(),
        key,
        shares,
    }
}

const FILE: &str = "vault.sv.restore-0123456789abcdef";
const PASSWORD: KeyKind = KeyKind::Password;
const KEY_FILE: KeyKind = KeyKind::KeyFile;

#[test]
fn each_bound_is_told_by_its_gate() {
    let home = Home::with_vault();
    let mut client = home.connect();
    let most = limits::PASSWORD;
    let file = *limits::KEY_FILE.end();
    let holder = "h".repeat(limits::HOLDER + 1);
    let unlock = |key| Request::UnlockWith {
        key,
        seconds: None,
        accept_rollback: false,
    };
    let good = || key(PASSWORD, 1);
    let label = |label: &str| slot_add(good(), good(), label.to_owned());
    let rotate = |old, new| Request::Rotate {
        passwords: Some((long(old), long(new))),
    };
    let deal = |count, threshold| Request::Deal { count, threshold };
    let many = || (0..=limits::SHARES).map(|_| long(1)).collect::<Vec<_>>();
    let share = "a share has 1 to 1024 bytes";
    let password = "a password has 1 to 4096 bytes";
    let key_file = "a key file has 32 to 4096 bytes";
    let holders = "a holder's name has at most 255 bytes";
    let cases: Vec<(Request, Kind, &str)> = vec![
        (unlock(key(PASSWORD, most + 1)), Kind::Usage, password),
        (unlock(key(KEY_FILE, file + 1)), Kind::Usage, key_file),
        (unlock(key(KeyKind::Credential, 31)), Kind::Usage, key_file),
        (
            slot_add(key(PASSWORD, most + 1), good(), String::new()),
            Kind::Usage,
            password,
        ),
        (
            slot_add(good(), key(KEY_FILE, 31), String::new()),
            Kind::Usage,
            key_file,
        ),
        (
            slot_add(good(), key(KEY_FILE, file + 1), String::new()),
            Kind::Usage,
            key_file,
        ),
        (
            label(&"l".repeat(limits::LABEL + 1)),
            Kind::Usage,
            "a label has at most 64 bytes",
        ),
        (label("a\nb"), Kind::Usage, "a label has at most 64 bytes"),
        (rotate(most + 1, 1), Kind::Usage, password),
        (rotate(1, most + 1), Kind::Usage, password),
        (rotate(1, 0), Kind::Usage, password),
        (deal(5, 1), Kind::Usage, "a threshold is 2 to"),
        (deal(2, 3), Kind::Usage, "a threshold is 2 to"),
        (delivered(holder.clone()), Kind::Usage, holders),
        (delivered("a\u{1b}b".to_owned()), Kind::Usage, holders),
        (
            Request::ShareCheck {
                share: long(limits::SHARE + 1),
            },
            Kind::BadShare,
            share,
        ),
        (
            Request::ShareCheck { share: long(0) },
            Kind::BadShare,
            share,
        ),
        (
            Request::CeremonySubmit {
                share: long(limits::SHARE + 1),
            },
            Kind::BadShare,
            share,
        ),
        (
            Request::ShareVerified {
                share: long(limits::SHARE + 1),
                holder: None,
            },
            Kind::BadShare,
            share,
        ),
        (
            Request::ShareVerified {
                share: long(1),
                holder: Some(holder.clone()),
            },
            Kind::Usage,
            holders,
        ),
        (
            Request::RecoverDrill { shares: many() },
            Kind::Usage,
            "there are at most 255 shares",
        ),
        (
            Request::Recover {
                shares: many(),
                password: long(1),
            },
            Kind::Usage,
            "there are at most 255 shares",
        ),
        (
            Request::Recover {
                shares: vec![long(limits::SHARE + 1)],
                password: long(1),
            },
            Kind::BadShare,
            share,
        ),
        (
            Request::Recover {
                shares: vec![],
                password: long(most + 1),
            },
            Kind::Usage,
            password,
        ),
        (
            Request::CeremonyStart { seconds: 0 },
            Kind::Usage,
            "a ceremony lasts",
        ),
        (
            Request::CeremonyStart {
                seconds: limits::CEREMONY + 1,
            },
            Kind::Usage,
            "a ceremony lasts",
        ),
        (
            Request::BackupDone {
                generation: 1,
                place: holder,
            },
            Kind::Usage,
            holders,
        ),
        (
            restore(FILE, Some(key(PASSWORD, most + 1)), vec![]),
            Kind::Usage,
            password,
        ),
        (
            restore(FILE, None, vec![long(limits::SHARE + 1)]),
            Kind::BadShare,
            share,
        ),
        (
            restore(FILE, None, many()),
            Kind::Usage,
            "there are at most 255 shares",
        ),
    ];
    for (request, kind, message) in cases {
        let what = request.label();
        let failure = client.ask(request).expect_err(what);
        assert_eq!(failure.kind, kind, "{what}: {}", failure.message);
        assert!(
            failure.message.starts_with(message),
            "{what}: {}",
            failure.message
        );
    }
    // The connection still serves, and numbers of any size take no memory.
    let audit = Request::Audit {
        after: None,
        last: Some(u64::MAX),
        since: Some(i64::MIN),
        name: None,
    };
    assert!(client.ask(audit).is_ok());
}

#[test]
fn a_file_beside_the_vault_is_one_of_ours_or_none() {
    let home = Home::with_vault();
    home.add("a", b"x");
    let folder = home.vault.parent().expect("a folder");
    let before = common::files(folder);
    let names = [
        "",
        ".",
        "..",
        "vault.sv",
        "vault.sv-wal",
        "vault.sv.lock",
        "vault.sv.audit",
        "vault.sv.restore-",
        "vault.sv.restore-0123456789abcde",
        "vault.sv.restore-0123456789abcdef0",
        "vault.sv.restore-0123456789ABCDEF",
        "vault.sv.backup-0123456789abcdef",
        "other.sv.restore-0123456789abcdef",
        "../sv/vault.sv.restore-0123456789abcdef",
        "/etc/passwd",
    ];
    let mut client = home.connect();
    for name in names
        .map(str::to_owned)
        .into_iter()
        .chain(["n".repeat(300)])
    {
        let verify = Request::FileVerify { file: name.clone() };
        for request in [verify, restore(&name, None, vec![])] {
            let failure = client.ask(request).expect_err(&name);
            assert_eq!(failure.kind, Kind::Usage, "{name:?}: {}", failure.message);
        }
    }
    let now: Vec<_> = common::files(folder).into_iter().map(|f| f.0).collect();
    let then: Vec<_> = before.into_iter().map(|f| f.0).collect();
    assert_eq!(now, then);
    assert_eq!(home.get("a"), b"x");
}
