//! One round of deliveries, and what comes of it.

use super::super::{
    shares::{self, waiting},
    unexpected,
};
use crate::{
    cli::shares::DestinationArgs,
    connect::Patience,
    context::Context,
    deliver::{Deliver, Parcel},
    error::{Error, Result},
    json::Object,
    output,
};
use std::path::Path;
use sv_proto::{
    Kind, Request, Response, Secret,
    message::{Dealing, HolderKind, SetState, ShareState},
};

/// One request about a set, on a connection of its own: bringing a share to its
/// holder may take long.
pub fn dealing(context: &Context, request: Request, patience: Patience) -> Result<Dealing> {
    match context.connect()?.call(request, patience)? {
        Response::Dealing(dealing) => Ok(dealing),
        _ => Err(unexpected()),
    }
}

/// Puts a set into force.
pub fn commit(context: &Context, set: [u8; 16], partial: bool) -> Result<Dealing> {
    let request = Request::DealCommit { set, partial };
    let patience = Patience::Long("renewing the keys of the vault");
    dealing(context, request, patience)
}

fn share(context: &Context, set: [u8; 16], index: u8) -> Result<Secret> {
    let request = Request::Share { set, index };
    match context.connect()?.call(request, Patience::Short)? {
        Response::Value(text) => Ok(text),
        _ => Err(unexpected()),
    }
}

/// How many shares somebody has.
pub fn delivered(dealing: &Dealing) -> usize {
    dealing.shares.len() - waiting(dealing).len()
}

/// Whether those who have a share can open the vault.
pub fn enough(dealing: &Dealing) -> bool {
    delivered(dealing) >= usize::from(dealing.threshold)
}

/// A share that could not be delivered, and why.
pub type Undelivered = (u8, String);

/// One round of deliveries.
pub struct Round<'a> {
    pub context: &'a Context,
    /// Another set was in force before.
    pub replaces: bool,
    /// Into force although some could not be delivered.
    pub partial: bool,
    /// Where they go, for hints.
    pub to: &'a DestinationArgs,
}

impl Round<'_> {
    /// Delivers what waits, and puts the set into force if that is all.
    pub fn run(&self, mut deliver: Box<dyn Deliver>, dealing: Dealing) -> Result<()> {
        let set = dealing.set;
        let delivered = self.deliver(&mut *deliver, dealing);
        deliver.finish();
        // Whatever the terminal was used for, it is as it was before.
        drop(deliver);
        let (dealing, failures) = delivered.map_err(|error| {
            let hint = match error.told() {
                Some(Kind::Locked) => "sv unlock, then ".to_owned(),
                _ => String::new(),
            };
            error.hinted(format!("{hint}{}", self.again()))
        })?;
        let complete = waiting(&dealing).is_empty() || (self.partial && enough(&dealing));
        let dealing = if dealing.state == SetState::Pending && complete {
            commit(self.context, set, self.partial).map_err(|e| e.hinted(self.again()))?
        } else {
            dealing
        };
        report(self.context, &dealing, &failures, self.replaces)?;
        if failures.is_empty() {
            return Ok(());
        }
        Err(self.failed(&dealing, &failures))
    }

    fn deliver(
        &self,
        deliver: &mut dyn Deliver,
        mut state: Dealing,
    ) -> Result<(Dealing, Vec<Undelivered>)> {
        let vault = name(&self.context.places.vault);
        let mut failures = Vec::new();
        for index in waiting(&state) {
            let text = share(self.context, state.set, index)?;
            let parcel = Parcel {
                dealing: &state,
                index,
                text: &text,
                vault: &vault,
            };
            let holder = match deliver.deliver(&parcel) {
                Ok(holder) => holder,
                Err(error @ (Error::Interrupted | Error::Pipe)) => return Err(error),
                Err(error) => {
                    if !self.context.json {
                        output::warn(&format!(
                            "warning: share {index} of {}: {error}",
                            state.count
                        ));
                    }
                    failures.push((index, error.to_string()));
                    continue;
                }
            };
            drop(text);
            let request = Request::ShareDelivered {
                set: state.set,
                index,
                kind: holder.kind,
                holder: holder.name,
            };
            state = dealing(self.context, request, Patience::Short)?;
        }
        Ok((state, failures))
    }

    fn failed(&self, dealing: &Dealing, failures: &[Undelivered]) -> Error {
        let waits = waiting(dealing).len();
        let message = format!(
            "{} of {} could not be delivered and {}; {}",
            failures.len(),
            output::count(u64::from(dealing.count), "share"),
            if waits == 1 { "waits" } else { "wait" },
            match dealing.state {
                SetState::Pending => "what was in force before still is",
                SetState::Active => "the set is in force all the same",
            }
        );
        let mut hint = self.again();
        if dealing.state == SetState::Pending && enough(dealing) {
            hint.push_str(", or --commit to do without them for now");
        }
        Error::Partial { message, hint }
    }

    /// The command that goes on.
    fn again(&self) -> String {
        let mut command = "sv distribute --resume".to_owned();
        let mut add = |text: String| {
            command.push(' ');
            command.push_str(&text);
        };
        if let Some(path) = &self.to.out {
            add(format!("--out {}", path.display()));
        }
        if let Some(path) = &self.to.paper {
            add(format!("--paper {}", path.display()));
        }
        if let Some(format) = self.to.format {
            add(format!("--format {}", format.extension()));
        }
        if !self.to.recipients.is_empty() {
            add("--recipient ...".to_owned());
        }
        if !self.to.nodes.is_empty() {
            add(format!("--to {}", self.to.nodes.join(",")));
        }
        if self.to.stdout {
            add("--stdout".to_owned());
        }
        command
    }
}

/// What people call a vault: the name of its file.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Says what became of a set.
pub fn report(
    context: &Context,
    dealing: &Dealing,
    failures: &[Undelivered],
    replaces: bool,
) -> Result<()> {
    if context.json {
        let mut object = shares::dealing(dealing);
        let failure = |(index, message): &Undelivered| {
            let mut object = Object::new();
            object.number("index", u64::from(*index));
            object.text("message", message);
            object
        };
        object.objects("failures", failures.iter().map(failure));
        return output::stdout(&object.line());
    }
    if dealing.state != SetState::Active {
        return Ok(());
    }
    output::note(&format!(
        "any {} of {} open the vault (set {}){}",
        dealing.threshold,
        output::count(u64::from(dealing.count), "share"),
        data_encoding::HEXLOWER.encode(&dealing.set[..4]),
        if replaces {
            "; earlier ones do no more"
        } else {
            ""
        }
    ));
    let waits = waiting(dealing).len();
    if waits > 0 && failures.is_empty() {
        output::warn(&format!(
            "{} not delivered yet; sv distribute --resume delivers what waits",
            match waits {
                1 => "1 share is".to_owned(),
                n => format!("{n} shares are"),
            }
        ));
    }
    if failures.is_empty() {
        let on_nodes = |share: &ShareState| matches!(share.holder, Some((HolderKind::Node, _)));
        output::warn(if dealing.shares.iter().all(on_nodes) {
            "hint: sv collect --verify has each node prove that it has its share"
        } else {
            "hint: sv recover --drill FILE... proves that the shares open the vault"
        });
    }
    Ok(())
}
