//! Answers about slots, rotation, shares, the audit log and backups.

use super::{MORE, T1, T2, hex, text};
use serde_json::{Value, json};
use sv_proto::{
    Kind, Response,
    message::{
        Asker, AuditVerified, BackupMade, Ceremony, Dealing, Event, FileVerified, Health,
        HolderKind, KeyKind, Outcome, Restored, Rotated, SetState, ShareInfo, ShareState, Slot,
    },
};

const VAULT: [u8; 16] = *b"0123456789abcdef";
const SET: [u8; 16] = *b"set 0123456789ab";

pub fn append(add: &mut impl FnMut(&str, u16, Response, Value)) {
    health(add);
    slots(add);
    dealings(add);
    ceremonies(add);
    events(add);
    copies(add);
}

fn health(add: &mut impl FnMut(&str, u16, Response, Value)) {
    add(
        "health",
        0,
        Response::Health(Health {
            shares: true,
            shares_dealt: Some(T1),
            shares_verified: Some(T2),
            shares_waiting: 2,
            deal_pending: false,
            backup: Some(T1 + 1),
            backup_old: true,
            rolled_back: false,
            generation_missing: true,
            audit_short: false,
            audit_events: 1_000_000,
        }),
        json!({"Health": {"health": {
            "shares": true, "shares_dealt": T1, "shares_verified": T2, "shares_waiting": 2,
            "deal_pending": false, "backup": T1 + 1, "backup_old": true, "rolled_back": false,
            "generation_missing": true, "audit_short": false, "audit_events": 1_000_000,
        }}}),
    );
    add(
        "health-new",
        0,
        Response::Health(Health {
            shares: false,
            shares_dealt: None,
            shares_verified: None,
            shares_waiting: 0,
            deal_pending: true,
            backup: None,
            backup_old: false,
            rolled_back: true,
            generation_missing: false,
            audit_short: true,
            audit_events: 0,
        }),
        json!({"Health": {"health": {
            "shares": false, "shares_dealt": null, "shares_verified": null, "shares_waiting": 0,
            "deal_pending": true, "backup": null, "backup_old": false, "rolled_back": true,
            "generation_missing": false, "audit_short": true, "audit_events": 0,
        }}}),
    );
}

fn slots(add: &mut impl FnMut(&str, u16, Response, Value)) {
    let mut list = Vec::new();
    let mut described = Vec::new();
    for (id, kind, label) in [
        (*b"slot 0123456789a", KeyKind::Password, ""),
        (*b"slot 0123456789b", KeyKind::KeyFile, "Schlüssel"),
        (*b"slot 0123456789c", KeyKind::Credential, "sv.key"),
    ] {
        list.push(Slot {
            id,
            kind,
            label: text(label),
        });
        described.push(json!({"id": hex(&id), "kind": format!("{kind:?}"), "label": label}));
    }
    add(
        "slots",
        0,
        Response::Slots(list),
        json!({"Slots": {"slots": described}}),
    );
    add(
        "rotated",
        0,
        Response::Rotated(Rotated {
            epoch: 2,
            secrets: 100_000,
            revisions: 250_000,
        }),
        json!({"Rotated": {"rotated": {
            "epoch": 2, "secrets": 100_000, "revisions": 250_000,
        }}}),
    );
}

/// A set of as many shares as there are kinds of holders, and one that waits.
fn dealing(state: SetState) -> (Dealing, Value) {
    let mut shares = Vec::new();
    let mut described = Vec::new();
    let holders = [
        (HolderKind::File, "share-1-of-6.sv"),
        (HolderKind::Recipient, "age1qexample"),
        (HolderKind::Paper, "share-3-of-6.pdf"),
        (HolderKind::Node, "zürich-1"),
        (HolderKind::Shown, ""),
    ];
    for (index, (kind, holder)) in (1..).zip(holders) {
        let verified = (kind == HolderKind::Node).then_some(T2);
        shares.push(ShareState {
            index,
            holder: Some((kind, text(holder))),
            delivered: Some(T1),
            verified,
        });
        described.push(json!({
            "index": index, "delivered": T1, "verified": verified,
            "holder": {"kind": format!("{kind:?}"), "name": holder},
        }));
    }
    shares.push(ShareState {
        index: 6,
        holder: None,
        delivered: None,
        verified: None,
    });
    described.push(json!({"index": 6, "holder": null, "delivered": null, "verified": null}));
    let dealing = Dealing {
        vault: VAULT,
        set: SET,
        state,
        threshold: 3,
        epoch: 2,
        dealt: T1,
        digest: [0xd1; 32],
        shares,
        count: 6,
    };
    let json = json!({
        "vault": hex(&VAULT), "set": hex(&SET), "state": format!("{state:?}"), "threshold": 3,
        "epoch": 2, "dealt": T1, "digest": hex(&[0xd1; 32]), "shares": described, "count": 6,
    });
    (dealing, json)
}

fn dealings(add: &mut impl FnMut(&str, u16, Response, Value)) {
    let (pending, pending_json) = dealing(SetState::Pending);
    add(
        "dealing",
        0,
        Response::Dealing(pending.clone()),
        json!({"Dealing": {"dealing": pending_json}}),
    );
    let (mut active, mut active_json) = dealing(SetState::Active);
    active.set = [0xee; 16];
    active.shares.clear();
    active_json["set"] = hex(&[0xee; 16]);
    active_json["shares"] = json!([]);
    add(
        "dealings",
        0,
        Response::Dealings(vec![active, pending]),
        json!({"Dealings": {"dealings": [active_json, pending_json]}}),
    );
    add(
        "dealings-none",
        0,
        Response::Dealings(vec![]),
        json!({"Dealings": {"dealings": []}}),
    );
    add(
        "share",
        0,
        Response::Share(ShareInfo {
            vault: VAULT,
            set: SET,
            index: 255,
            threshold: 2,
            count: 255,
        }),
        json!({"Share": {"share": {
            "vault": hex(&VAULT), "set": hex(&SET), "index": 255, "threshold": 2, "count": 255,
        }}}),
    );
}

fn ceremonies(add: &mut impl FnMut(&str, u16, Response, Value)) {
    for (name, indices, left) in [
        ("ceremony", vec![1_u8, 4], 1_800_u64),
        ("ceremony-new", vec![], 3_600),
    ] {
        add(
            name,
            0,
            Response::Ceremony(Ceremony {
                key: text("svrecover1qexample"),
                threshold: 3,
                indices: indices.clone(),
                left,
            }),
            json!({"Ceremony": {"ceremony": {
                "key": "svrecover1qexample", "threshold": 3, "indices": indices, "left": left,
            }}}),
        );
    }
}

fn events(add: &mut impl FnMut(&str, u16, Response, Value)) {
    let list = vec![
        Event {
            seq: 1,
            time: T1,
            action: text("unlock"),
            name: text(""),
            outcome: Outcome::Failed(Kind::WrongPassword),
            asker: Asker {
                uid: 1000,
                pid: 4711,
                started: 123_456,
                unit: text("user@1000.service"),
                comm: text("sv"),
            },
            unauthenticated: true,
        },
        Event {
            seq: 2,
            time: T1 + 1,
            action: text("get"),
            name: text("größe/€"),
            outcome: Outcome::Ok,
            asker: Asker::default(),
            unauthenticated: false,
        },
    ];
    let described = json!([
        {
            "seq": 1, "time": T1, "action": "unlock", "name": "",
            "outcome": {"Failed": {"kind": "WrongPassword"}},
            "asker": {
                "uid": 1000, "pid": 4711, "started": 123_456, "unit": "user@1000.service",
                "comm": "sv",
            },
            "unauthenticated": true,
        },
        {
            "seq": 2, "time": T1 + 1, "action": "get", "name": "größe/€", "outcome": "Ok",
            "asker": {"uid": 0, "pid": 0, "started": 0, "unit": "", "comm": ""},
            "unauthenticated": false,
        },
    ]);
    for (name, flags) in [("events-more", MORE), ("events", 0)] {
        add(
            name,
            flags,
            Response::Events(list.clone()),
            json!({"Events": {"events": described}}),
        );
    }
    add(
        "events-none",
        0,
        Response::Events(vec![]),
        json!({"Events": {"events": []}}),
    );
    for (name, problems) in [
        ("audit-verified", vec![]),
        ("audit-verified-problems", vec!["one", "two"]),
    ] {
        add(
            name,
            0,
            Response::AuditVerified(AuditVerified {
                events: 1_234,
                files: 2,
                problems: problems.iter().copied().map(text).collect(),
            }),
            json!({"AuditVerified": {"verified": {
                "events": 1_234, "files": 2, "problems": problems,
            }}}),
        );
    }
}

fn copies(add: &mut impl FnMut(&str, u16, Response, Value)) {
    let file = "vault.sv.backup-0123456789abcdef";
    add(
        "backup-made",
        0,
        Response::BackupMade(BackupMade {
            file: text(file),
            size: 1 << 33,
            digest: [0xd2; 32],
            vault: VAULT,
            generation: 41,
            secrets: 9,
        }),
        json!({"BackupMade": {"made": {
            "file": file, "size": 1_u64 << 33, "digest": hex(&[0xd2; 32]), "vault": hex(&VAULT),
            "generation": 41, "secrets": 9,
        }}}),
    );
    for (name, slots, shares, problems) in [
        ("file-verified", true, false, vec![]),
        ("file-verified-problems", false, true, vec!["one", "two"]),
    ] {
        add(
            name,
            0,
            Response::FileVerified(FileVerified {
                vault: VAULT,
                generation: 41,
                epoch: 2,
                secrets: 9,
                revisions: 12,
                slots,
                shares,
                problems: problems.iter().copied().map(text).collect(),
            }),
            json!({"FileVerified": {"verified": {
                "vault": hex(&VAULT), "generation": 41, "epoch": 2, "secrets": 9, "revisions": 12,
                "slots": slots, "shares": shares, "problems": problems,
            }}}),
        );
    }
    for (name, created, conflicts) in [("restored", true, 0), ("restored-merged", false, 1)] {
        add(
            name,
            0,
            Response::Restored(Restored {
                created,
                secrets: 3,
                revisions: 5,
                conflicts,
            }),
            json!({"Restored": {"restored": {
                "created": created, "secrets": 3, "revisions": 5, "conflicts": conflicts,
            }}}),
        );
    }
}
