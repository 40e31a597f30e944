//! `sv backup --to`: a copy on other nodes, which only shares open.

use super::{backup, done, require_unlocked, status};
use crate::{
    cli::backup::BackupArgs,
    connect::Patience,
    context::{Context, now},
    error::{Error, Result},
    json::Object,
    output,
    staged::{self, Staged},
    transport::{Held, Node, Nodes, backups::Stored},
};
use std::fs::File;
use sv_proto::{Request, message::BackupMade};

pub fn run(context: &Context, args: &BackupArgs) -> Result<()> {
    let names = &args.to;
    if let Some(twice) = (1..names.len()).find(|i| names[..*i].contains(&names[*i])) {
        return Err(Error::usage(
            format!("{} was named twice", names[twice]),
            "name each node once",
        ));
    }
    let nodes = context.nodes()?;
    require_unlocked(context)?;
    let (made, copy) = {
        let mut connection = context.connect()?;
        let vault = staged::vault_of(&status(&mut connection)?).to_owned();
        backup::make(&mut connection, &vault, false)?
    };
    let stored = Stored::new(now(), made.generation);
    // An interruption waits until the copy here is gone.
    let held = Held::new()?;
    let round = Round {
        context,
        nodes,
        keep: args.keep,
        made,
        stored,
    };
    let rows: Result<Vec<Row>> = names.iter().map(|node| round.one(node, &copy)).collect();
    drop(copy);
    drop(held);
    round.report(&rows?)
}

/// What became of the copy on one node.
struct Row<'a> {
    node: &'a Node,
    stored: bool,
    removed: usize,
    error: Option<Error>,
}

struct Round<'a> {
    context: &'a Context,
    nodes: Nodes,
    keep: Option<usize>,
    made: BackupMade,
    stored: Stored,
}

impl Round<'_> {
    /// Everything about one node. Only an interruption keeps the others from it.
    fn one<'a>(&self, node: &'a Node, copy: &Staged) -> Result<Row<'a>> {
        let mut row = Row {
            node,
            stored: false,
            removed: 0,
            error: None,
        };
        match self.go(node, copy, &mut row) {
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                if !self.context.json {
                    output::warn(&format!("warning: {error}"));
                }
                row.error = Some(error);
            }
            Ok(()) => {}
        }
        Ok(row)
    }

    fn go(&self, node: &Node, copy: &Staged, row: &mut Row<'_>) -> Result<()> {
        let mut source = File::open(copy.path()).map_err(|error| Error::Read {
            what: "the copy".to_owned(),
            error,
        })?;
        self.nodes
            .store(node, &self.made, &mut source, &self.stored)?;
        row.stored = true;
        let request = Request::BackupDone {
            generation: self.made.generation,
            place: node.to_string(),
        };
        done(&mut self.context.connect()?, request, Patience::Short)?;
        if let Some(keep) = self.keep {
            row.removed = self
                .nodes
                .prune(node, self.made.vault, keep, &self.stored)?;
        }
        Ok(())
    }

    fn report(&self, rows: &[Row<'_>]) -> Result<()> {
        let failed: Vec<&str> = rows
            .iter()
            .filter(|row| row.error.is_some())
            .map(|row| row.node.as_str())
            .collect();
        if self.context.json {
            output::stdout(&self.document(rows, failed.is_empty()).line())?;
        } else {
            let stored = rows.iter().filter(|row| row.stored).count() as u64;
            output::note(&format!(
                "{} on {} ({} bytes, generation {})",
                output::count(self.made.secrets, "secret"),
                output::count(stored, "node"),
                self.made.size,
                self.made.generation
            ));
        }
        if failed.is_empty() {
            return Ok(());
        }
        Err(Error::Partial {
            message: format!("not everything was done on {}", failed.join(", ")),
            hint: format!("when it is up: sv backup --to {}", failed.join(",")),
        })
    }

    fn document(&self, rows: &[Row<'_>], ok: bool) -> Object {
        let mut object = Object::new();
        object.flag("ok", ok);
        object.text("file", &self.stored.name());
        backup::about(&mut object, &self.made);
        let row = |row: &Row<'_>| {
            let mut object = Object::new();
            object.text("node", row.node.as_str());
            object.flag("stored", row.stored);
            object.number("removed", row.removed as u64);
            let message = row.error.as_ref().map(Error::to_string);
            object.text_or_null("message", message.as_deref());
            object
        };
        object.objects("nodes", rows.iter().map(row));
        object
    }
}
