//! `sv list`: names under a prefix.

use super::unexpected;
use crate::{
    connect::Patience,
    context::{Context, now},
    error::{Error, Result},
    fields,
    json::Object,
    output,
    table::Table,
};
use sv_proto::{Request, Response, limits, message::Item, span};

pub fn run(
    context: &Context,
    prefix: String,
    category: Option<String>,
    tags: &[String],
    long: bool,
) -> Result<()> {
    if prefix.len() > limits::NAME {
        return Err(Error::usage(
            format!("a prefix has at most {} bytes", limits::NAME),
            "shorten it",
        ));
    }
    let request = Request::List {
        prefix,
        category,
        tags: fields::tags(tags),
        fields: long || context.json,
    };
    stream(context, request, long)
}

/// Sends a request that is answered by names or items, and prints them. The
/// answer is read whole first: a pager that waits for its reader must not keep
/// the agent waiting, which gives a client only seconds.
pub fn stream(context: &Context, request: Request, long: bool) -> Result<()> {
    let mut printer = Printer::new(context, long);
    let patience = Patience::Long("reading the names");
    let mut answer = Vec::new();
    context.connect()?.each(request, patience, |response| {
        answer.push(response);
        Ok(())
    })?;
    for response in answer {
        printer.take(response)?;
    }
    printer.end()
}

struct Printer {
    json: bool,
    long: bool,
    terminal: bool,
    table: Table,
    any: bool,
}

impl Printer {
    fn new(context: &Context, long: bool) -> Self {
        let terminal = output::is_terminal();
        let heading = [
            "NAME", "REV", "UPDATED", "SIZE", "CATEGORY", "TAGS", "EXPIRES",
        ];
        Self {
            json: context.json,
            long,
            terminal,
            table: Table::new(&heading, terminal, context.style()),
            any: false,
        }
    }

    fn take(&mut self, response: Response) -> Result<()> {
        let text = match response {
            Response::Names(names) if !self.long && !self.json => self.names(&names),
            Response::Items(items) if self.json => return self.documents(&items),
            Response::Items(items) if self.long => self.rows(&items),
            _ => return Err(unexpected()),
        };
        output::stdout(text.as_bytes())
    }

    fn names(&self, names: &[String]) -> String {
        let mut text = String::new();
        for name in names {
            text.push_str(&output::shown(name, self.terminal));
            text.push('\n');
        }
        text
    }

    fn rows(&mut self, items: &[Item]) -> String {
        if items.is_empty() {
            return String::new();
        }
        let now = now();
        let shown = |text: &str| output::shown(text, self.terminal).into_owned();
        let row = |item: &Item| {
            let fields = &item.fields;
            vec![
                shown(&item.name),
                item.rev.to_string(),
                span::rfc3339(item.updated),
                item.size.to_string(),
                shown(&fields.category),
                shown(&fields.tags.join(",")),
                output::expiry(fields.expires, now),
            ]
        };
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        let expired = |i: usize| (1..=now).contains(&items[i].fields.expires);
        self.table.rows(&rows, expired)
    }

    /// An array whose elements are written as they come.
    fn documents(&mut self, items: &[Item]) -> Result<()> {
        let mut text = Vec::new();
        for item in items {
            text.extend_from_slice(if self.any { b",\n " } else { b"[" });
            self.any = true;
            let mut object = Object::new();
            object.item(item);
            text.extend_from_slice(&object.finish());
        }
        output::stdout(&text)
    }

    fn end(self) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        output::stdout(if self.any { b"]\n" } else { b"[]\n" })
    }
}
