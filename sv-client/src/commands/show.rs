//! `sv show`: the fields of a secret, the value only when asked.

use super::unexpected;
use crate::{
    connect::Patience,
    context::{Context, now},
    error::Result,
    fields,
    json::Object,
    output, table,
};
use sv_proto::{Request, Response, Secret, message::Item, span};
use zeroize::Zeroizing;

pub fn run(context: &Context, name: String, rev: Option<u64>, reveal: bool) -> Result<()> {
    fields::check_name(&name)?;
    if context.json {
        return document(context, name, rev, reveal);
    }
    let (item, value) = fetch(context, name, rev, reveal)?;
    output::stdout(text(context, &item).as_bytes())?;
    match value {
        Some(value) => output::stdout(&revealed(&value)),
        None => Ok(()),
    }
}

/// All fields as one JSON document.
pub fn document(context: &Context, name: String, rev: Option<u64>, reveal: bool) -> Result<()> {
    let (item, value) = fetch(context, name, rev, reveal)?;
    let mut object = Object::with_room(value.as_ref().map_or(0, Secret::len));
    object.item(&item);
    if let Some(value) = &value {
        object.value(value.expose());
    }
    output::stdout(&object.line())
}

fn fetch(
    context: &Context,
    name: String,
    rev: Option<u64>,
    reveal: bool,
) -> Result<(Item, Option<Secret>)> {
    let request = Request::Show { name, rev, reveal };
    match context.connect()?.call(request, Patience::Short)? {
        Response::Item { item, value } if value.is_some() == reveal => Ok((item, value)),
        _ => Err(unexpected()),
    }
}

fn text(context: &Context, item: &Item) -> String {
    let terminal = output::is_terminal();
    let shown = |text: &str| output::shown(text, terminal).into_owned();
    let mut pairs = vec![
        ("name", shown(&item.name)),
        ("revision", item.rev.to_string()),
        ("created", span::rfc3339(item.created)),
        ("updated", span::rfc3339(item.updated)),
        ("size", output::count(item.size, "byte")),
    ];
    let fields = &item.fields;
    if fields.expires != 0 {
        let text = output::expiry(fields.expires, now());
        let expired = text.ends_with("expired");
        let text = if expired {
            context.style().alert(&text)
        } else {
            text
        };
        pairs.push(("expires", text));
    }
    if !fields.category.is_empty() {
        pairs.push(("category", shown(&fields.category)));
    }
    if !fields.tags.is_empty() {
        pairs.push(("tags", shown(&fields.tags.join(", "))));
    }
    if !fields.note.is_empty() {
        let lines: Vec<String> = fields.note.lines().map(shown).collect();
        pairs.push(("note", lines.join("\n")));
    }
    table::pairs(&pairs, context.style())
}

/// The value for a person: as it is where it is plain text, else as base64.
fn revealed(value: &Secret) -> Zeroizing<Vec<u8>> {
    let bytes = value.expose();
    let plain = output::is_plain(bytes);
    let label: &[u8] = if plain {
        b"value:\n"
    } else {
        b"value (base64):\n"
    };
    let base64 = data_encoding::BASE64;
    let mut out = Zeroizing::new(Vec::with_capacity(
        label.len() + base64.encode_len(bytes.len()) + 1,
    ));
    out.extend_from_slice(label);
    if plain {
        out.extend_from_slice(bytes);
    } else {
        out.resize(label.len() + base64.encode_len(bytes.len()), 0);
        base64.encode_mut(bytes, &mut out[label.len()..]);
    }
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_for_a_person() {
        let shown = |bytes: &[u8]| revealed(&Secret::new(bytes.to_vec())).to_vec();
        assert_eq!(shown(b"token"), b"value:\ntoken\n");
        assert_eq!(shown(b"a\nb\n"), b"value:\na\nb\n");
        assert_eq!(shown(b"\x1b[2J"), b"value (base64):\nG1sySg==\n");
    }
}
