//! At least one message of each variant, as Rust and as the JSON that
//! describes it to the other languages. The two are written independently.
//!
//! An id is a sample's place in its list: new ones go to the end.

mod requests;
mod responses;

use serde_json::{Value, json};
use sv_proto::{
    Envelope, Kind, Request, Response, Secret,
    frame::MORE,
    message::{Change, Failure, Fields, Item, Revision, State, Status, Unlocked, Verified},
};

/// One golden frame.
pub struct Sample {
    /// Its file is `v1/NAME.bin`.
    pub name: String,
    /// The request id in the header.
    pub id: u64,
    /// The flags in the header.
    pub flags: u16,
    /// The message.
    pub body: Body,
    /// The same in the terms of `schema.json`.
    pub json: Value,
}

/// What a frame carries.
pub enum Body {
    /// From client to agent.
    Request(Envelope),
    /// From agent to client.
    Response(Response),
}

/// 2026-05-04 03:02:01.007 UTC.
const T1: i64 = 1_777_863_721_007;
/// 2031-01-01 00:00:00 UTC.
const T2: i64 = 1_924_992_000_000;
/// The kinds that had frames when the others were appended.
const KINDS_OF_OLD: usize = 19;
/// Not text: NUL, and bytes that UTF-8 never has.
const BINARY: &[u8] = b"\x00\xff\xfe\r\n\x80end\n";

fn text(s: &str) -> String {
    s.to_owned()
}

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes.to_vec())
}

fn hex(bytes: &[u8]) -> Value {
    Value::String(data_encoding::HEXLOWER.encode(bytes))
}

/// All of them.
pub fn all() -> Vec<Sample> {
    let mut samples = requests();
    samples.extend(responses());
    samples
}

fn requests() -> Vec<Sample> {
    let mut out = Vec::new();
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
    let fields = Fields {
        category: text("api"),
        tags: vec![text("prod"), text("größe/€")],
        note: text("first line\nsecond line"),
        expires: T2,
    };
    let fields_json = json!({
        "category": "api", "tags": ["prod", "größe/€"],
        "note": "first line\nsecond line", "expires": T2,
    });

    add("status", Request::Status, json!("Status"));
    add(
        "init",
        Request::Init {
            password: secret(b"correct horse"),
        },
        json!({"Init": {"password": hex(b"correct horse")}}),
    );
    for (name, seconds) in [("unlock", None), ("unlock-for", Some(28_800))] {
        add(
            name,
            Request::Unlock {
                password: secret("pässword".as_bytes()),
                seconds,
            },
            json!({"Unlock": {"password": hex("pässword".as_bytes()), "seconds": seconds}}),
        );
    }
    add(
        "unlock-empty",
        Request::Unlock {
            password: secret(b""),
            seconds: None,
        },
        json!({"Unlock": {"password": "", "seconds": null}}),
    );
    add("lock", Request::Lock, json!("Lock"));
    add(
        "add",
        Request::Add {
            name: text("service/api_key"),
            value: secret(b"s3cr3t"),
            fields,
        },
        json!({"Add": {"name": "service/api_key", "value": hex(b"s3cr3t"), "fields": fields_json}}),
    );
    add(
        "add-binary",
        Request::Add {
            name: text("bin"),
            value: secret(BINARY),
            fields: Fields::default(),
        },
        json!({"Add": {
            "name": "bin", "value": hex(BINARY),
            "fields": {"category": "", "tags": [], "note": "", "expires": 0},
        }}),
    );
    for (name, rev) in [("get", None), ("get-rev", Some(3))] {
        add(
            name,
            Request::Get {
                name: text("a/b"),
                rev,
            },
            json!({"Get": {"name": "a/b", "rev": rev}}),
        );
    }
    for (name, rev, reveal) in [("show", None, false), ("show-reveal", Some(u64::MAX), true)] {
        add(
            name,
            Request::Show {
                name: text("a/b"),
                rev,
                reveal,
            },
            json!({"Show": {"name": "a/b", "rev": rev, "reveal": reveal}}),
        );
    }
    add(
        "list",
        Request::List {
            prefix: text(""),
            category: None,
            tags: vec![],
            fields: false,
        },
        json!({"List": {"prefix": "", "category": null, "tags": [], "fields": false}}),
    );
    add(
        "list-filtered",
        Request::List {
            prefix: text("prod/"),
            category: Some(text("api")),
            tags: vec![text("x"), text("y")],
            fields: true,
        },
        json!({"List": {"prefix": "prod/", "category": "api", "tags": ["x", "y"], "fields": true}}),
    );
    for (name, fields) in [("search", false), ("search-fields", true)] {
        add(
            name,
            Request::Search {
                query: text("Zürich api"),
                fields,
            },
            json!({"Search": {"query": "Zürich api", "fields": fields}}),
        );
    }
    updates(&mut add);
    for (name, purge) in [("delete", false), ("delete-purge", true)] {
        add(
            name,
            Request::Delete {
                name: text("a/b"),
                purge,
            },
            json!({"Delete": {"name": "a/b", "purge": purge}}),
        );
    }
    add(
        "rename",
        Request::Rename {
            old: text("a/b"),
            new: text("c"),
        },
        json!({"Rename": {"old": "a/b", "new": "c"}}),
    );
    add(
        "history",
        Request::History { name: text("a/b") },
        json!({"History": {"name": "a/b"}}),
    );
    add(
        "revert",
        Request::Revert {
            name: text("a/b"),
            rev: 2,
        },
        json!({"Revert": {"name": "a/b", "rev": 2}}),
    );
    add(
        "passwd",
        Request::Passwd {
            old: secret(b"old one"),
            new: secret(b"new one"),
        },
        json!({"Passwd": {"old": hex(b"old one"), "new": hex(b"new one")}}),
    );
    add("verify", Request::Verify, json!("Verify"));
    add("stop", Request::Stop, json!("Stop"));

    out.push(Sample {
        name: text("request-named-vault"),
        id: u64::MAX,
        flags: 0,
        body: Body::Request(Envelope {
            vault: Some(b"/srv/v\xe4ult.sv".to_vec()),
            request: Request::Status,
        }),
        json: json!({"vault": hex(b"/srv/v\xe4ult.sv"), "request": "Status"}),
    });
    requests::append(&mut out);
    out
}

fn updates(add: &mut impl FnMut(&str, Request, Value)) {
    let none = json!({"category": null, "tags": null, "note": null, "expires": null});
    add(
        "update-value",
        Request::Update {
            name: text("a/b"),
            value: Some(secret(b"new value")),
            change: Change::default(),
            if_rev: None,
        },
        json!({"Update": {
            "name": "a/b", "value": hex(b"new value"), "change": none, "if_rev": null,
        }}),
    );
    add(
        "update-fields",
        Request::Update {
            name: text("a/b"),
            value: None,
            change: Change {
                category: Some(text("c")),
                tags: Some(vec![text("t")]),
                note: Some(text("n")),
                expires: Some(-1),
            },
            if_rev: Some(7),
        },
        json!({"Update": {
            "name": "a/b", "value": null, "if_rev": 7,
            "change": {"category": "c", "tags": ["t"], "note": "n", "expires": -1},
        }}),
    );
    add(
        "update-clear",
        Request::Update {
            name: text("a/b"),
            value: Some(secret(b"")),
            change: Change {
                category: Some(text("")),
                tags: Some(vec![]),
                note: Some(text("")),
                expires: Some(0),
            },
            if_rev: None,
        },
        json!({"Update": {
            "name": "a/b", "value": "", "if_rev": null,
            "change": {"category": "", "tags": [], "note": "", "expires": 0},
        }}),
    );
}

fn item(name: &str, rev: u64) -> (Item, Value) {
    let item = Item {
        name: text(name),
        rev,
        created: T1,
        updated: T1 + 1,
        size: 6,
        fields: Fields {
            category: text("api"),
            tags: vec![text("prod")],
            note: text("n"),
            expires: T2,
        },
    };
    let json = json!({
        "name": name, "rev": rev, "created": T1, "updated": T1 + 1, "size": 6,
        "fields": {"category": "api", "tags": ["prod"], "note": "n", "expires": T2},
    });
    (item, json)
}

fn responses() -> Vec<Sample> {
    let mut out = Vec::new();
    let mut add = |name: &str, flags: u16, response: Response, json: Value| {
        out.push(Sample {
            name: format!("response-{name}"),
            id: out.len() as u64 + 1,
            flags,
            body: Body::Response(response),
            json,
        });
    };
    add("done", 0, Response::Done, json!("Done"));
    failures(&mut add, &Kind::ALL[..KINDS_OF_OLD]);
    statuses(&mut add);
    for (name, already) in [("unlocked", false), ("unlocked-already", true)] {
        add(
            name,
            0,
            Response::Unlocked(Unlocked {
                already,
                lock_in: 3_600,
            }),
            json!({"Unlocked": {"unlocked": {"already": already, "lock_in": 3600}}}),
        );
    }
    for (name, value) in [
        ("value", b"s3cr3t".as_slice()),
        ("value-binary", BINARY),
        ("value-empty", b""),
    ] {
        add(
            name,
            0,
            Response::Value(secret(value)),
            json!({"Value": {"value": hex(value)}}),
        );
    }
    let (one, one_json) = item("a/b", 3);
    add(
        "item",
        0,
        Response::Item {
            item: one.clone(),
            value: None,
        },
        json!({"Item": {"item": one_json, "value": null}}),
    );
    add(
        "item-revealed",
        0,
        Response::Item {
            item: one.clone(),
            value: Some(secret(b"s3cr3t")),
        },
        json!({"Item": {"item": one_json, "value": hex(b"s3cr3t")}}),
    );
    for (name, flags) in [("names-more", MORE), ("names", 0)] {
        add(
            name,
            flags,
            Response::Names(vec![text("a"), text("ü/b"), text("z")]),
            json!({"Names": {"names": ["a", "ü/b", "z"]}}),
        );
    }
    add(
        "names-none",
        0,
        Response::Names(vec![]),
        json!({"Names": {"names": []}}),
    );
    let (two, two_json) = item("ü", 1);
    for (name, flags) in [("items-more", MORE), ("items", 0)] {
        add(
            name,
            flags,
            Response::Items(vec![one.clone(), two.clone()]),
            json!({"Items": {"items": [one_json, two_json]}}),
        );
    }
    history(&mut add);
    add(
        "changed",
        0,
        Response::Changed { rev: 4 },
        json!({"Changed": {"rev": 4}}),
    );
    add(
        "progress",
        MORE,
        Response::Progress {
            done: 10,
            total: 1_000_000,
        },
        json!({"Progress": {"done": 10, "total": 1_000_000}}),
    );
    for (name, problems) in [
        ("verified", vec![]),
        ("verified-problems", vec!["one", "two"]),
    ] {
        add(
            name,
            0,
            Response::Verified(Verified {
                secrets: 2,
                revisions: 5,
                problems: problems.iter().copied().map(text).collect(),
            }),
            json!({"Verified": {"verified": {"secrets": 2, "revisions": 5, "problems": problems}}}),
        );
    }
    responses::append(&mut add);
    failures(&mut add, &Kind::ALL[KINDS_OF_OLD..]);
    out
}

fn failures(add: &mut impl FnMut(&str, u16, Response, Value), kinds: &[Kind]) {
    for kind in kinds {
        add(
            &format!("failed-{}", kind.as_str()),
            0,
            Response::Failed(Failure::new(*kind, "one line")),
            json!({"Failed": {"failure": {"kind": format!("{kind:?}"), "message": "one line"}}}),
        );
    }
}

fn statuses(add: &mut impl FnMut(&str, u16, Response, Value)) {
    let id = *b"0123456789abcdef";
    for (name, state, word, vault_id, n) in [
        ("status-no-vault", State::NoVault, "NoVault", None, None),
        ("status-locked", State::Locked, "Locked", Some(id), None),
        (
            "status-unlocked",
            State::Unlocked,
            "Unlocked",
            Some(id),
            Some(9),
        ),
    ] {
        add(
            name,
            0,
            Response::Status(Status {
                version: text("3.0.0"),
                pid: 4711,
                vault: b"/home/u/vault.sv".to_vec(),
                vault_id,
                state,
                lock_in: n,
                secrets: n,
                revisions: n,
                epoch: n,
                key_memory: text("memfd_secret"),
            }),
            json!({"Status": {"status": {
                "version": "3.0.0", "pid": 4711, "vault": hex(b"/home/u/vault.sv"),
                "vault_id": vault_id.map(|id| hex(&id)), "state": word, "lock_in": n,
                "secrets": n, "revisions": n, "epoch": n, "key_memory": "memfd_secret",
            }}}),
        );
    }
}

fn history(add: &mut impl FnMut(&str, u16, Response, Value)) {
    let mut revisions = Vec::new();
    let mut list = Vec::new();
    for (rev, deleted, size) in [(2, true, 0), (1, false, 6)] {
        let (id, author) = ([rev as u8; 32], [0xab; 16]);
        revisions.push(Revision {
            rev,
            time: T1,
            deleted,
            head: deleted,
            name: text("a/b"),
            size,
            id,
            author,
        });
        list.push(json!({
            "rev": rev, "time": T1, "deleted": deleted, "head": deleted, "name": "a/b",
            "size": size, "id": hex(&id), "author": hex(&author),
        }));
    }
    add(
        "revisions",
        0,
        Response::Revisions(revisions),
        json!({"Revisions": {"revisions": list}}),
    );
}
