//! A second encoder of the wire format, written from `PROTOCOL.md` alone: it
//! knows the layout rules and takes types and values from JSON. What it makes
//! of `index.json` must be what the crate's own codec writes.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value};

/// `tests/frames/schema.json`: the types, fields and variants in their order.
pub struct Schema(Map<String, Value>);

impl Schema {
    /// Reads the committed file.
    pub fn load() -> Self {
        let file: Value = serde_json::from_slice(&super::files::read("schema.json")).unwrap();
        assert_eq!(file["protocol"], 1);
        Self(file["types"].as_object().unwrap().clone())
    }

    /// The variants of an enumeration, in their order.
    pub fn variants(&self, name: &str) -> Vec<String> {
        let list = self.0[name]["enum"].as_array().expect("an enumeration");
        list.iter()
            .map(|v| v[0].as_str().unwrap().to_owned())
            .collect()
    }

    /// The fields of a variant or, with `variant` None, of a structure.
    pub fn fields(&self, name: &str, variant: Option<&str>) -> Vec<(String, String)> {
        let fields = match variant {
            None => &self.0[name]["struct"],
            Some(variant) => {
                let list = self.0[name]["enum"].as_array().unwrap();
                &list.iter().find(|v| v[0] == variant).unwrap()[1]
            }
        };
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let fields = fields.as_array().unwrap();
        fields.iter().map(|f| (text(&f[0]), text(&f[1]))).collect()
    }

    /// Every enumeration and structure.
    pub fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0
            .iter()
            .map(|(name, t)| (name.as_str(), t.get("enum").is_some()))
    }

    /// Appends the encoding of `value`, which is of type `kind`.
    pub fn encode(&self, kind: &str, value: &Value, out: &mut Vec<u8>) {
        let inner = |prefix: &str| kind.strip_prefix(prefix)?.strip_suffix('>');
        let array = kind
            .strip_prefix("bytes[")
            .and_then(|k| k.strip_suffix(']'));
        if let Some(inner) = inner("option<") {
            out.push(u8::from(!value.is_null()));
            if !value.is_null() {
                self.encode(inner, value, out);
            }
        } else if let Some(inner) = inner("list<") {
            let list = value.as_array().unwrap();
            out.extend((list.len() as u64).to_le_bytes());
            for value in list {
                self.encode(inner, value, out);
            }
        } else if let Some(length) = array {
            let bytes = HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap();
            assert_eq!(bytes.len().to_string(), length);
            out.extend(bytes);
        } else {
            match kind {
                "bool" => out.push(u8::from(value.as_bool().unwrap())),
                "u8" => out.push(u8::try_from(value.as_u64().unwrap()).unwrap()),
                "u16" => out.extend(
                    u16::try_from(value.as_u64().unwrap())
                        .unwrap()
                        .to_le_bytes(),
                ),
                "u32" => out.extend(
                    u32::try_from(value.as_u64().unwrap())
                        .unwrap()
                        .to_le_bytes(),
                ),
                "u64" => out.extend(value.as_u64().unwrap().to_le_bytes()),
                "i64" => out.extend(value.as_i64().unwrap().to_le_bytes()),
                "bytes" | "string" => {
                    let text = value.as_str().unwrap();
                    let bytes = match kind {
                        "bytes" => HEXLOWER.decode(text.as_bytes()).unwrap(),
                        _ => text.as_bytes().to_vec(),
                    };
                    out.extend((bytes.len() as u64).to_le_bytes());
                    out.extend(bytes);
                }
                name => self.encode_named(name, value, out),
            }
        }
    }

    fn encode_named(&self, name: &str, value: &Value, out: &mut Vec<u8>) {
        let fields = |fields: &[(String, String)], value: &Value, out: &mut Vec<u8>| {
            let given = value.as_object().unwrap();
            assert_eq!(given.len(), fields.len(), "{name}: {value}");
            for (field, kind) in fields {
                self.encode(kind, &given[field], out);
            }
        };
        if self.0[name].get("struct").is_some() {
            return fields(&self.fields(name, None), value, out);
        }
        // A variant with fields is {"Name": {…}}, one without is "Name".
        let empty = Value::Object(Map::new());
        let (variant, value) = match value {
            Value::String(variant) => (variant, &empty),
            _ => value.as_object().unwrap().iter().next().unwrap(),
        };
        let number = self.variants(name).iter().position(|v| v == variant);
        let number = number.unwrap_or_else(|| panic!("{name} has no variant {variant}"));
        out.extend(u32::try_from(number).unwrap().to_le_bytes());
        fields(&self.fields(name, Some(variant)), value, out);
    }
}
