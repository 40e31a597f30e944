//! Every golden request, sent to an agent that holds no keys: what works locked is
//! what `PROTOCOL.md` says, and all else is told that it is locked.

mod common;

use common::Home;
use serde_json::Value;
use std::{collections::BTreeSet, fs, io::Write, path::Path};
use sv_proto::{Kind, Response, codec, frame};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The names of requests that the text says work locked.
fn listed() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(ROOT).join("proto/PROTOCOL.md")).expect("the text");
    let (_, list) = text.split_once("These work locked: ").expect("the list");
    let (list, _) = list.split_once("All others").expect("its end");
    let mut names: BTreeSet<String> = list
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    // "the four of the ceremony"
    assert!(list.contains("the four of the ceremony"), "{list}");
    for what in ["Start", "Submit", "Status", "Cancel"] {
        names.insert(format!("Ceremony{what}"));
    }
    names
}

/// The last frame of the answer to these bytes.
fn answer(home: &Home, bytes: &[u8], id: u64) -> Response {
    let mut client = home.connect();
    client.stream.write_all(bytes).expect("the agent reads");
    loop {
        let (header, body) = frame::read(&mut client.stream).expect("an answer");
        assert_eq!(header.check().expect("its header").id, id);
        if header.flags & frame::MORE == 0 {
            return codec::decode(&body).expect("a response");
        }
    }
}

#[test]
fn what_works_locked_is_what_the_text_says() {
    let home = Home::with_vault();
    home.sv("lock").ok();
    let listed = listed();
    let folder = Path::new(ROOT).join("tests/frames/v1");
    let index = fs::read(folder.join("index.json")).expect("the index");
    let index: Vec<Value> = serde_json::from_slice(&index).expect("JSON");
    let mut seen = BTreeSet::new();
    for entry in index.iter().filter(|e| e["type"] == "Envelope") {
        // One names a vault that is not here.
        if !entry["message"]["vault"].is_null() {
            continue;
        }
        let request = &entry["message"]["request"];
        let name = match request {
            Value::String(name) => name,
            _ => request
                .as_object()
                .expect("a variant")
                .keys()
                .next()
                .expect("its name"),
        };
        let file = entry["file"].as_str().expect("a name");
        let bytes = fs::read(folder.join(file)).expect("the frame");
        let answer = answer(&home, &bytes, entry["id"].as_u64().expect("an id"));
        let locked = matches!(&answer, Response::Failed(f) if f.kind == Kind::Locked);
        // Into a vault that is there only while it is unlocked, as the text says.
        let works = listed.contains(name) && name != "Restore";
        assert_eq!(locked, !works, "{file}: {answer:?}");
        seen.insert(name.clone());
        if name == "Stop" {
            home.sv("agent start").ok();
        }
        if name == "CeremonyStart" {
            // Without shares there is no ceremony.
            assert!(matches!(answer, Response::Failed(_)), "{answer:?}");
        }
    }
    assert!(seen.is_superset(&listed), "each of them was tried");
    home.unlock();
}
