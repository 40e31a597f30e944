//! Golden frames: what goes over the socket, byte for byte, in files that
//! other languages test themselves with. `tests/frames/README.md` describes
//! them; `SV_BLESS=1` writes them anew.

mod support;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use support::{
    files,
    samples::{self, Body, Sample},
    schema::Schema,
};
use sv_proto::{
    Envelope, Kind, Response, codec,
    frame::{self, Header, Versions},
    limits,
};

fn frame_of(sample: &Sample) -> Vec<u8> {
    let frame = match &sample.body {
        Body::Request(envelope) => frame::encode(sample.id, sample.flags, envelope),
        Body::Response(response) => frame::encode(sample.id, sample.flags, response),
    };
    frame.unwrap().to_vec()
}

fn describe(sample: &Sample) -> Value {
    json!({
        "file": format!("{}.bin", sample.name),
        "type": match sample.body {
            Body::Request(_) => "Envelope",
            Body::Response(_) => "Response",
        },
        "version": limits::VERSION,
        "flags": sample.flags,
        "id": sample.id,
        "message": sample.json,
    })
}

/// The one frame whose layout no version may change.
fn versions() -> (Vec<u8>, Value) {
    let versions = Versions { min: 1, max: 3 };
    let described = json!({
        "file": "versions.bin", "type": "Versions", "version": 0, "flags": 0, "id": 77,
        "message": {"min": 1, "max": 3},
    });
    (versions.frame(77).to_vec(), described)
}

#[test]
fn committed_files_are_what_is_written() {
    let mut wanted = BTreeMap::new();
    let mut index = Vec::new();
    for sample in samples::all() {
        index.push(describe(&sample));
        let double = wanted.insert(format!("{}.bin", sample.name), frame_of(&sample));
        assert!(double.is_none(), "{} is there twice", sample.name);
    }
    let (bytes, described) = versions();
    wanted.insert("versions.bin".to_owned(), bytes);
    index.push(described);
    let mut text = serde_json::to_string_pretty(&index).unwrap();
    text.push('\n');
    wanted.insert("index.json".to_owned(), text.into_bytes());
    files::compare("v1", &wanted);
}

#[test]
fn committed_files_are_read_and_written_back() {
    for sample in samples::all() {
        let bytes = files::read(&format!("v1/{}.bin", sample.name));
        let (header, body) = frame::read(&mut bytes.as_slice()).unwrap();
        let wanted = Header {
            version: 1,
            flags: sample.flags,
            id: sample.id,
        };
        assert_eq!(header.check().unwrap(), wanted, "{}", sample.name);
        let again = match &sample.body {
            Body::Request(_) => {
                let envelope: Envelope = codec::decode(&body).unwrap();
                frame::encode(header.id, header.flags, &envelope)
            }
            Body::Response(_) => {
                let response: Response = codec::decode(&body).unwrap();
                frame::encode(header.id, header.flags, &response)
            }
        };
        assert_eq!(*again.unwrap(), bytes, "{}", sample.name);
    }
    let bytes = files::read("v1/versions.bin");
    let (header, body) = frame::read(&mut bytes.as_slice()).unwrap();
    assert_eq!((header.version, header.flags, header.id), (0, 0, 77));
    assert_eq!(Versions::parse(&body), Some(Versions { min: 1, max: 3 }));
}

/// The description for other languages is complete: an encoder that knows it
/// and nothing else arrives at the same bytes.
#[test]
fn the_json_and_the_schema_make_the_same_bytes() {
    let schema = Schema::load();
    let index: Vec<Value> = serde_json::from_slice(&files::read("v1/index.json")).unwrap();
    assert_eq!(index.len(), samples::all().len() + 1);
    for entry in index {
        let file = entry["file"].as_str().unwrap();
        let mut out = vec![0; 4];
        for (kind, field) in [("u16", "version"), ("u16", "flags"), ("u64", "id")] {
            schema.encode(kind, &entry[field], &mut out);
        }
        schema.encode(entry["type"].as_str().unwrap(), &entry["message"], &mut out);
        let length = u32::try_from(out.len() - 4).unwrap();
        out[..4].copy_from_slice(&length.to_le_bytes());
        assert_eq!(out, files::read(&format!("v1/{file}")), "{file}");
    }
}

#[test]
fn every_variant_has_a_frame() {
    let schema = Schema::load();
    let index: Vec<Value> = serde_json::from_slice(&files::read("v1/index.json")).unwrap();
    let mut seen = BTreeSet::new();
    for entry in &index {
        collect(&entry["message"], &mut seen);
    }
    for (name, is_enum) in schema.names() {
        if is_enum {
            for variant in schema.variants(name) {
                assert!(seen.contains(&variant), "no frame with {name}::{variant}");
            }
        }
    }
}

/// Every word that could be a variant: a key, or the text of a value.
fn collect(value: &Value, seen: &mut BTreeSet<String>) {
    match value {
        Value::String(word) => {
            seen.insert(word.clone());
        }
        Value::Array(list) => list.iter().for_each(|v| collect(v, seen)),
        Value::Object(map) => {
            for (key, value) in map {
                seen.insert(key.clone());
                collect(value, seen);
            }
        }
        _ => {}
    }
}

#[test]
fn the_schema_and_the_crate_name_the_same_kinds() {
    let kinds: Vec<_> = Kind::ALL.iter().map(|k| format!("{k:?}")).collect();
    assert_eq!(Schema::load().variants("Kind"), kinds);
}

/// `PROTOCOL.md` is the text that people write other clients from.
#[test]
fn the_text_has_every_variant_with_its_number() {
    let text = include_str!("../PROTOCOL.md");
    let schema = Schema::load();
    for (name, is_enum) in schema.names() {
        if !is_enum {
            for (field, kind) in schema.fields(name, None) {
                let row = format!("`{field}: {kind}`");
                assert!(text.contains(&row), "PROTOCOL.md has no {row} for {name}");
            }
            continue;
        }
        for (number, variant) in schema.variants(name).iter().enumerate() {
            let fields: Vec<_> = schema
                .fields(name, Some(variant))
                .iter()
                .map(|(field, kind)| format!("`{field}: {kind}`"))
                .collect();
            let plain = ["Kind", "State", "KeyKind", "HolderKind", "SetState"];
            let row = match name {
                name if plain.contains(&name) => format!("| {number} | {variant} |"),
                _ => format!("| {number} | {variant} | {} |", fields.join(", ")),
            };
            assert!(text.contains(&row), "PROTOCOL.md has no row '{row}'");
        }
    }
    for kind in Kind::ALL {
        let row = format!("| {kind:?} | `{}` |", kind.as_str());
        assert!(text.contains(&row), "PROTOCOL.md has no '{row}'");
    }
}

/// The example in `PROTOCOL.md` is a golden frame.
#[test]
fn the_example_in_the_text_is_a_golden_frame() {
    let text = include_str!("../PROTOCOL.md");
    for file in ["request-get", "response-value"] {
        let begin = format!("<!-- {file} -->\n```\n");
        let at = text.find(&begin).expect("the example") + begin.len();
        let block = &text[at..at + text[at..].find("```").unwrap()];
        let hex: String = block
            .lines()
            .flat_map(|line| line.split("  ").next())
            .flat_map(str::split_whitespace)
            .collect();
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        assert_eq!(bytes, files::read(&format!("v1/{file}.bin")), "{file}");
    }
}
