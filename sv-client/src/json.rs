//! JSON documents, written straight into memory that is wiped: a value passes
//! through them, so no tree of strings is built.

use sv_proto::{
    limits,
    message::{Item, Revision},
    span,
};
use zeroize::Zeroizing;

/// One object being written. Text is escaped so that it is also safe on a
/// terminal: control and bidirectional characters never appear as themselves.
pub struct Object(Zeroizing<Vec<u8>>);

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    /// An empty object.
    #[must_use]
    pub fn new() -> Self {
        Self(Zeroizing::new(b"{".to_vec()))
    }

    /// An empty object with room for text of `bytes` at its longest, so that
    /// writing a secret never moves it.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        let room = 6 * bytes + 6 * (limits::NOTE + limits::NAME) + 64 * limits::TAG * limits::TAGS;
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        out.push(b'{');
        Self(out)
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.quote(key);
        self.0.push(b':');
    }

    fn quote(&mut self, text: &str) {
        self.0.push(b'"');
        for c in text.chars() {
            match c {
                '"' => self.0.extend_from_slice(b"\\\""),
                '\\' => self.0.extend_from_slice(b"\\\\"),
                '\n' => self.0.extend_from_slice(b"\\n"),
                '\r' => self.0.extend_from_slice(b"\\r"),
                '\t' => self.0.extend_from_slice(b"\\t"),
                // All of these lie in the basic plane: one escape each.
                c if crate::output::garbles(c) => {
                    self.0
                        .extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
                }
                c => self
                    .0
                    .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.0.push(b'"');
    }

    /// A member that is text.
    pub fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.quote(text);
    }

    /// A member that is text, or null.
    pub fn text_or_null(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text(key, text),
            None => self.null(key),
        }
    }

    /// A member that is a list of texts.
    pub fn texts(&mut self, key: &str, texts: &[String]) {
        self.key(key);
        self.0.push(b'[');
        for (i, text) in texts.iter().enumerate() {
            if i > 0 {
                self.0.push(b',');
            }
            self.quote(text);
        }
        self.0.push(b']');
    }

    /// A member that is an object.
    pub fn object(&mut self, key: &str, object: Self) {
        self.key(key);
        self.0.extend_from_slice(&object.finish());
    }

    /// A member that is a list of objects.
    pub fn objects(&mut self, key: &str, objects: impl IntoIterator<Item = Self>) {
        self.key(key);
        self.0.push(b'[');
        for (i, object) in objects.into_iter().enumerate() {
            if i > 0 {
                self.0.push(b',');
            }
            self.0.extend_from_slice(&object.finish());
        }
        self.0.push(b']');
    }

    /// A member that is a number.
    pub fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        self.0.extend_from_slice(number.to_string().as_bytes());
    }

    /// A member that is a list of numbers.
    pub fn numbers(&mut self, key: &str, numbers: impl IntoIterator<Item = u64>) {
        self.key(key);
        self.0.push(b'[');
        for (i, number) in numbers.into_iter().enumerate() {
            if i > 0 {
                self.0.push(b',');
            }
            self.0.extend_from_slice(number.to_string().as_bytes());
        }
        self.0.push(b']');
    }

    /// A member that is a number with three decimals.
    pub fn decimal(&mut self, key: &str, number: f64) {
        self.key(key);
        self.0.extend_from_slice(format!("{number:.3}").as_bytes());
    }

    /// A member that is a number, or null.
    pub fn number_or_null(&mut self, key: &str, number: Option<u64>) {
        match number {
            Some(number) => self.number(key, number),
            None => self.null(key),
        }
    }

    /// A member that is true or false.
    pub fn flag(&mut self, key: &str, flag: bool) {
        self.key(key);
        self.0
            .extend_from_slice(if flag { b"true" } else { b"false" });
    }

    /// A member that is null.
    pub fn null(&mut self, key: &str) {
        self.key(key);
        self.0.extend_from_slice(b"null");
    }

    /// The fields of a secret.
    pub fn item(&mut self, item: &Item) {
        let fields = &item.fields;
        self.text("name", &item.name);
        self.number("rev", item.rev);
        self.text("created", &span::rfc3339(item.created));
        self.text("updated", &span::rfc3339(item.updated));
        let expires = (fields.expires != 0).then(|| span::rfc3339(fields.expires));
        self.text_or_null("expires", expires.as_deref());
        self.text("category", &fields.category);
        self.texts("tags", &fields.tags);
        self.text("note", &fields.note);
        self.number("size", item.size);
    }

    /// The value of a secret: as `value` where it is UTF-8, else as `value_base64`.
    pub fn value(&mut self, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(text) => self.text("value", text),
            Err(_) => {
                self.key("value_base64");
                self.0.push(b'"');
                let start = self.0.len();
                let base64 = data_encoding::BASE64;
                self.0.resize(start + base64.encode_len(value.len()), 0);
                base64.encode_mut(value, &mut self.0[start..]);
                self.0.push(b'"');
            }
        }
    }

    /// One revision of a secret.
    pub fn revision(&mut self, revision: &Revision) {
        self.number("rev", revision.rev);
        self.text("time", &span::rfc3339(revision.time));
        self.flag("deleted", revision.deleted);
        self.flag("head", revision.head);
        self.text("name", &revision.name);
        self.number("size", revision.size);
        self.text("id", &data_encoding::HEXLOWER.encode(&revision.id));
        self.text("author", &data_encoding::HEXLOWER.encode(&revision.author));
    }

    /// The whole object.
    #[must_use]
    pub fn finish(mut self) -> Zeroizing<Vec<u8>> {
        self.0.push(b'}');
        self.0
    }

    /// The whole object as one line.
    #[must_use]
    pub fn line(self) -> Zeroizing<Vec<u8>> {
        let mut out = self.finish();
        out.push(b'\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use sv_proto::message::Fields;

    #[test]
    fn every_character_survives() {
        let every: String = (0..=0xffff_u32)
            .chain([0x1f600, 0x10_ffff])
            .filter_map(char::from_u32)
            .collect();
        let mut object = Object::with_room(every.len());
        object.value(every.as_bytes());
        let before = object.0.capacity();
        let line = object.line();
        assert_eq!(line.capacity(), before, "the buffer was moved");
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["value"], every);
        let text = std::str::from_utf8(&line).unwrap();
        assert!(!text.trim_end().chars().any(crate::output::garbles));
    }

    #[test]
    fn bytes_become_base64() {
        let mut object = Object::with_room(3);
        object.value(&[0xff, 0, 1]);
        let value: Value = serde_json::from_slice(&object.line()).unwrap();
        assert_eq!(value["value_base64"], "/wAB");
        assert_eq!(value.get("value"), None);
    }

    #[test]
    fn an_item_has_every_field() {
        let mut item = Item {
            name: "a/b".to_owned(),
            rev: 3,
            created: 0,
            updated: 1_700_000_000_999,
            size: 7,
            fields: Fields {
                category: "api".to_owned(),
                tags: vec!["x".to_owned(), "y\"".to_owned()],
                note: "line\nline".to_owned(),
                expires: 0,
            },
        };
        let write = |item: &Item| -> Value {
            let mut object = Object::new();
            object.item(item);
            serde_json::from_slice(&object.finish()).unwrap()
        };
        let value = write(&item);
        assert_eq!(value["created"], "1970-01-01T00:00:00Z");
        assert_eq!(value["updated"], "2023-11-14T22:13:20Z");
        assert_eq!(value["expires"], Value::Null);
        assert_eq!(value["tags"][1], "y\"");
        assert_eq!(value["note"], "line\nline");
        item.fields.expires = 86_400_000;
        assert_eq!(write(&item)["expires"], "1970-01-02T00:00:00Z");
    }
}
