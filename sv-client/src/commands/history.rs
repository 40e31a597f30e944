//! `sv history`: the revisions of a secret, newest first.

use super::unexpected;
use crate::{
    connect::Patience, context::Context, error::Result, fields, json::Object, output, table::Table,
};
use sv_proto::{Request, Response, message::Revision, span};

pub fn run(context: &Context, name: String) -> Result<()> {
    fields::check_name(&name)?;
    let request = Request::History { name };
    let mut revisions = Vec::new();
    context
        .connect()?
        .each(request, Patience::Short, |response| match response {
            Response::Revisions(some) => {
                revisions.extend(some);
                Ok(())
            }
            _ => Err(unexpected()),
        })?;
    if context.json {
        output::stdout(&documents(&revisions))
    } else {
        output::stdout(rows(context, &revisions).as_bytes())
    }
}

fn documents(revisions: &[Revision]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (i, revision) in revisions.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b",\n ");
        }
        let mut object = Object::new();
        object.revision(revision);
        out.extend_from_slice(&object.finish());
    }
    out.extend_from_slice(b"]\n");
    out
}

fn rows(context: &Context, revisions: &[Revision]) -> String {
    let terminal = output::is_terminal();
    let heading = ["REV", "TIME", "STATE", "SIZE", "NAME"];
    let row = |revision: &Revision| {
        let state = match (revision.head, revision.deleted) {
            (true, true) => "deleted",
            (true, false) => "current",
            (false, true) => "old, deleted",
            (false, false) => "old",
        };
        vec![
            revision.rev.to_string(),
            span::rfc3339(revision.time),
            state.to_owned(),
            revision.size.to_string(),
            output::shown(&revision.name, terminal).into_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = revisions.iter().map(row).collect();
    Table::new(&heading, terminal, context.style()).rows(&rows, |i| revisions[i].deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_revisions() {
        let revision = |rev| Revision {
            rev,
            time: 1000,
            deleted: rev == 2,
            head: rev == 2,
            name: "a".to_owned(),
            size: 3,
            id: [0xab; 32],
            author: [1; 16],
        };
        let bytes = documents(&[revision(2), revision(1)]);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value[0]["rev"], 2);
        assert_eq!(value[0]["deleted"], true);
        assert_eq!(value[1]["head"], false);
        assert_eq!(value[1]["time"], "1970-01-01T00:00:01Z");
        assert_eq!(value[1]["id"], "ab".repeat(32));
        assert_eq!(value[1]["author"], "01".repeat(16));
        assert_eq!(documents(&[]), b"[]\n");
    }
}
