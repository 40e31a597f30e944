//! Requests about slots, rotation, shares, the audit log and backups.

use super::{Body, Sample, hex, secret, text};
use serde_json::{Value, json};
use sv_proto::{
    Envelope, Request, Secret,
    message::{HolderKind, Key, KeyKind},
};

const SET: [u8; 16] = *b"set 0123456789ab";
const SHARE: &[u8] = b"svshare1 some text";

pub fn append(out: &mut Vec<Sample>) {
    let mut add = |name: &str, request: Request, json: Value| {
        out.push(Sample {
            name: format!("request-{name}"),
            id: out.len() as u64 + 1,
            flags: 0,
            body: Body::Request(Envelope {
                vault: None,
                request,
            }),
            json: json!({"vault": null, "request": json}),
        });
    };
    keys(&mut add);
    deals(&mut add);
    recovery(&mut add);
    audit(&mut add);
    copies(&mut add);
}

/// A key with its description.
fn key(kind: KeyKind, bytes: &[u8]) -> (Key, Value) {
    let key = Key {
        kind,
        secret: secret(bytes),
    };
    (
        key,
        json!({"kind": format!("{kind:?}"), "secret": hex(bytes)}),
    )
}

fn keys(add: &mut impl FnMut(&str, Request, Value)) {
    for (name, kind, bytes, seconds, accept_rollback) in [
        (
            "unlock-with-password",
            KeyKind::Password,
            "pässword".as_bytes(),
            None,
            false,
        ),
        (
            "unlock-with-keyfile",
            KeyKind::KeyFile,
            &[0xa5; 32],
            Some(900),
            false,
        ),
        (
            "unlock-with-credential",
            KeyKind::Credential,
            &[0x5a; 64],
            None,
            true,
        ),
        (
            "unlock-with-empty",
            KeyKind::Password,
            b"",
            Some(900),
            false,
        ),
    ] {
        let (key, key_json) = key(kind, bytes);
        add(
            name,
            Request::UnlockWith {
                key,
                seconds,
                accept_rollback,
            },
            json!({"UnlockWith": {
                "key": key_json, "seconds": seconds, "accept_rollback": accept_rollback,
            }}),
        );
    }
    add("health", Request::Health, json!("Health"));
    add("slots", Request::Slots, json!("Slots"));
    let (present, present_json) = key(KeyKind::Password, b"correct horse");
    let (new, new_json) = key(KeyKind::KeyFile, &[7; 32]);
    add(
        "slot-add",
        Request::SlotAdd {
            present,
            new,
            label: text("Schlüssel im Tresor"),
        },
        json!({"SlotAdd": {
            "present": present_json, "new": new_json, "label": "Schlüssel im Tresor",
        }}),
    );
    add(
        "slot-remove",
        Request::SlotRemove {
            slot: *b"slot 0123456789a",
        },
        json!({"SlotRemove": {"slot": hex(b"slot 0123456789a")}}),
    );
    add(
        "rotate",
        Request::Rotate { passwords: None },
        json!({"Rotate": {"passwords": null}}),
    );
    add(
        "rotate-password",
        Request::Rotate {
            passwords: Some((secret(b"old one"), secret(b"new one"))),
        },
        json!({"Rotate": {"passwords": {"old": hex(b"old one"), "new": hex(b"new one")}}}),
    );
}

fn deals(add: &mut impl FnMut(&str, Request, Value)) {
    add(
        "deal",
        Request::Deal {
            count: 5,
            threshold: 3,
        },
        json!({"Deal": {"count": 5, "threshold": 3}}),
    );
    add(
        "deal-largest",
        Request::Deal {
            count: 255,
            threshold: 255,
        },
        json!({"Deal": {"count": 255, "threshold": 255}}),
    );
    add("dealings", Request::Dealings, json!("Dealings"));
    add(
        "share",
        Request::Share { set: SET, index: 1 },
        json!({"Share": {"set": hex(&SET), "index": 1}}),
    );
    for (name, index, kind, holder) in [
        ("file", 1, HolderKind::File, "share-1-of-5.sv"),
        ("recipient", 2, HolderKind::Recipient, "age1qexample"),
        ("paper", 3, HolderKind::Paper, "share-3-of-5.pdf"),
        ("node", 4, HolderKind::Node, "zürich-1"),
        ("shown", 255, HolderKind::Shown, ""),
    ] {
        add(
            &format!("share-delivered-{name}"),
            Request::ShareDelivered {
                set: SET,
                index,
                kind,
                holder: text(holder),
            },
            json!({"ShareDelivered": {
                "set": hex(&SET), "index": index, "kind": format!("{kind:?}"), "holder": holder,
            }}),
        );
    }
    for (name, holder) in [
        ("share-verified", None),
        ("share-verified-holder", Some("zürich-1")),
    ] {
        add(
            name,
            Request::ShareVerified {
                share: secret(SHARE),
                holder: holder.map(text),
            },
            json!({"ShareVerified": {"share": hex(SHARE), "holder": holder}}),
        );
    }
    for (name, partial) in [("deal-commit", false), ("deal-commit-partial", true)] {
        add(
            name,
            Request::DealCommit { set: SET, partial },
            json!({"DealCommit": {"set": hex(&SET), "partial": partial}}),
        );
    }
    add(
        "deal-cancel",
        Request::DealCancel { set: SET },
        json!({"DealCancel": {"set": hex(&SET)}}),
    );
}

fn shares(count: usize) -> (Vec<Secret>, Value) {
    let shares = (0..count).map(|_| secret(SHARE)).collect();
    (shares, json!(vec![hex(SHARE); count]))
}

fn recovery(add: &mut impl FnMut(&str, Request, Value)) {
    add(
        "share-check",
        Request::ShareCheck {
            share: secret(SHARE),
        },
        json!({"ShareCheck": {"share": hex(SHARE)}}),
    );
    for (name, count) in [("recover", 3), ("recover-ceremony", 0)] {
        let (shares, shares_json) = shares(count);
        add(
            name,
            Request::Recover {
                shares,
                password: secret(b"the new one"),
            },
            json!({"Recover": {"shares": shares_json, "password": hex(b"the new one")}}),
        );
    }
    let (two, two_json) = shares(2);
    add(
        "recover-drill",
        Request::RecoverDrill { shares: two },
        json!({"RecoverDrill": {"shares": two_json}}),
    );
    add(
        "ceremony-start",
        Request::CeremonyStart { seconds: 3_600 },
        json!({"CeremonyStart": {"seconds": 3600}}),
    );
    add(
        "ceremony-submit",
        Request::CeremonySubmit {
            share: secret(SHARE),
        },
        json!({"CeremonySubmit": {"share": hex(SHARE)}}),
    );
    add(
        "ceremony-status",
        Request::CeremonyStatus,
        json!("CeremonyStatus"),
    );
    add(
        "ceremony-cancel",
        Request::CeremonyCancel,
        json!("CeremonyCancel"),
    );
}

fn audit(add: &mut impl FnMut(&str, Request, Value)) {
    for (name, after, last, since, about) in [
        ("audit", None, None, None, None),
        (
            "audit-filtered",
            None,
            Some(20),
            Some(super::T1),
            Some("a/b"),
        ),
        ("audit-follow", Some(u64::MAX), None, None, None),
    ] {
        add(
            name,
            Request::Audit {
                after,
                last,
                since,
                name: about.map(text),
            },
            json!({"Audit": {"after": after, "last": last, "since": since, "name": about}}),
        );
    }
    add("audit-verify", Request::AuditVerify, json!("AuditVerify"));
}

fn copies(add: &mut impl FnMut(&str, Request, Value)) {
    for (name, slots) in [("backup", true), ("backup-without-slots", false)] {
        add(
            name,
            Request::Backup { slots },
            json!({"Backup": {"slots": slots}}),
        );
    }
    add(
        "backup-done",
        Request::BackupDone {
            generation: 41,
            place: text("/mnt/stick/vault.sv"),
        },
        json!({"BackupDone": {"generation": 41, "place": "/mnt/stick/vault.sv"}}),
    );
    let file = "vault.sv.restore-0123456789abcdef";
    add(
        "file-verify",
        Request::FileVerify { file: text(file) },
        json!({"FileVerify": {"file": file}}),
    );
    let (none, none_json) = shares(0);
    add(
        "restore",
        Request::Restore {
            file: text(file),
            key: None,
            shares: none,
        },
        json!({"Restore": {"file": file, "key": null, "shares": none_json}}),
    );
    let (none, none_json) = shares(0);
    let (key, key_json) = key(KeyKind::Password, b"of that time");
    add(
        "restore-password",
        Request::Restore {
            file: text(file),
            key: Some(key),
            shares: none,
        },
        json!({"Restore": {"file": file, "key": key_json, "shares": none_json}}),
    );
    let (three, three_json) = shares(3);
    add(
        "restore-shares",
        Request::Restore {
            file: text(file),
            key: None,
            shares: three,
        },
        json!({"Restore": {"file": file, "key": null, "shares": three_json}}),
    );
}
