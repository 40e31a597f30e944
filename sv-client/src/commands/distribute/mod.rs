//! `sv distribute`: deals shares, brings each to its holder, and puts the set
//! into force.

mod round;

use super::{
    done, require_unlocked,
    shares::{self, in_state, waiting},
};
use crate::{
    cli::shares::{DestinationArgs, DistributeArgs},
    connect::Patience,
    context::Context,
    deliver::{Deliver, choice},
    error::{Error, Result},
    output,
};
use round::{Round, commit, dealing, delivered, enough, report};
use sv_proto::{
    Kind, Request,
    message::{Dealing, HolderKind, SetState},
};

/// How many shares are dealt, and how many of them open the vault, unless it is said.
const SHARES: u8 = 5;
const THRESHOLD: u8 = 3;

pub fn run(context: &Context, args: DistributeArgs) -> Result<()> {
    check(&args)?;
    if args.cancel {
        return cancel(context);
    }
    if !args.replace.is_empty() {
        return replace(context, &args);
    }
    let named = choice::named(context, &args.to)?;
    if args.commit && named.is_none() && !args.resume {
        return commit_pending(context);
    }
    let deliver = match named {
        Some(deliver) => deliver,
        None => choice::terminal(context)?,
    };
    if args.resume {
        return resume(context, deliver, &args);
    }
    deal(
        context,
        deliver,
        &Plan {
            shares: args.shares,
            threshold: args.threshold,
            partial: args.commit,
            to: &args.to,
        },
    )
}

/// What goes with what.
fn check(args: &DistributeArgs) -> Result<()> {
    let sized = args.shares.is_some() || args.threshold.is_some();
    let to = &args.to;
    let placed = to.out.is_some()
        || to.paper.is_some()
        || to.format.is_some()
        || to.stdout
        || !to.nodes.is_empty()
        || !to.recipients.is_empty();
    let alone = |option: &str, hint: &str| {
        Err(Error::usage(
            format!("{option} goes with no other option"),
            hint,
        ))
    };
    let replace = !args.replace.is_empty();
    if args.cancel && (sized || placed || args.resume || args.commit || replace) {
        return alone("--cancel", "sv distribute --cancel");
    }
    if replace && (sized || placed || args.resume) {
        return alone("--replace", "sv distribute --replace NODE=NEW");
    }
    if args.resume && sized {
        return Err(Error::usage(
            "--resume delivers shares of a set whose size is settled",
            "leave --shares and --threshold away, or begin anew after sv distribute --cancel",
        ));
    }
    if args.commit && sized && !placed {
        return Err(Error::usage(
            "--commit alone puts a set into force whose size is settled",
            "leave --shares and --threshold away, or say where new shares go",
        ));
    }
    Ok(())
}

/// New shares.
pub struct Plan<'a> {
    /// How many, if it was said.
    pub shares: Option<u8>,
    /// How many open the vault, if it was said.
    pub threshold: Option<u8>,
    /// Into force although some could not be delivered.
    pub partial: bool,
    /// Where they go, for hints.
    pub to: &'a DestinationArgs,
}

/// How many shares there will be, and how many of them open the vault.
fn size(plan: &Plan<'_>, holders: Option<usize>) -> Result<(u8, u8)> {
    let count = match (plan.shares, holders) {
        (Some(count), Some(holders)) if usize::from(count) != holders => {
            return Err(Error::usage(
                format!("{count} shares can't go to {holders} holders"),
                "name as many holders as shares",
            ));
        }
        (Some(count), _) => count,
        (None, None) => SHARES,
        (None, Some(holders)) => match u8::try_from(holders) {
            Ok(count) if count >= 2 => count,
            _ => {
                return Err(Error::usage(
                    "shares go to 2 to 255 holders",
                    "name one for each share",
                ));
            }
        },
    };
    let threshold = plan.threshold.unwrap_or(THRESHOLD.min(count));
    if threshold > count {
        return Err(Error::usage(
            format!("{threshold} of {count} shares can't be needed"),
            "--threshold is at most as large as --shares",
        ));
    }
    Ok((count, threshold))
}

/// Deals, delivers, puts into force.
pub fn deal(context: &Context, mut deliver: Box<dyn Deliver>, plan: &Plan<'_>) -> Result<()> {
    let (count, threshold) = size(plan, deliver.count())?;
    require_unlocked(context)?;
    let before = shares::dealings(context)?;
    if in_state(&before, SetState::Pending).is_some() {
        return Err(pending());
    }
    let all: Vec<u8> = (1..=count).collect();
    deliver.prepare(&all, count, true)?;
    let request = Request::Deal { count, threshold };
    let dealing = match dealing(context, request, Patience::Long("dealing shares")) {
        Err(error) if error.told() == Some(Kind::Exists) => return Err(pending()),
        other => other?,
    };
    let round = Round {
        context,
        replaces: in_state(&before, SetState::Active).is_some(),
        partial: plan.partial,
        to: plan.to,
    };
    round.run(deliver, dealing)
}

fn pending() -> Error {
    Error::agent(
        Kind::Exists,
        "a share set is dealt already, and not yet in force",
    )
    .hinted("sv distribute --resume delivers what waits of it, --cancel forgets it")
}

/// What still waits, of a set that is in force or not.
fn resume(context: &Context, mut deliver: Box<dyn Deliver>, args: &DistributeArgs) -> Result<()> {
    require_unlocked(context)?;
    let dealings = shares::dealings(context)?;
    let found = in_state(&dealings, SetState::Pending)
        .or_else(|| dealings.iter().find(|d| !waiting(d).is_empty()));
    let Some(dealing) = found else {
        return Err(Error::agent(
            Kind::NoShare,
            "no share waits to be delivered",
        ));
    };
    let waiting = waiting(dealing);
    if !waiting.is_empty() {
        deliver.prepare(&waiting, dealing.count, false)?;
    }
    let round = Round {
        context,
        replaces: dealings.len() > 1,
        partial: args.commit,
        to: &args.to,
    };
    round.run(deliver, dealing.clone())
}

/// The set that is not in force, although some of its shares wait.
fn commit_pending(context: &Context) -> Result<()> {
    let (dealing, replaces) = the_pending(context)?;
    if !enough(&dealing) {
        return Err(Error::Partial {
            message: format!(
                "{} of {} shares are delivered, and {} open the vault",
                delivered(&dealing),
                dealing.count,
                dealing.threshold
            ),
            hint: "sv distribute --resume delivers what waits".to_owned(),
        });
    }
    let dealing = commit(context, dealing.set, true)?;
    report(context, &dealing, &[], replaces)
}

fn cancel(context: &Context) -> Result<()> {
    let (dealing, _) = the_pending(context)?;
    let request = Request::DealCancel { set: dealing.set };
    done(&mut context.connect()?, request, Patience::Short)?;
    let delivered = delivered(&dealing);
    if delivered > 0 && !context.json {
        output::warn(&format!(
            "{} of it went out and open nothing: destroy them",
            output::count(delivered as u64, "share")
        ));
    }
    super::finished(context, "the set is forgotten")
}

/// The set that is not in force, and whether another is.
fn the_pending(context: &Context) -> Result<(Dealing, bool)> {
    require_unlocked(context)?;
    let dealings = shares::dealings(context)?;
    let replaces = in_state(&dealings, SetState::Active).is_some();
    match in_state(&dealings, SetState::Pending) {
        Some(pending) => Ok((pending.clone(), replaces)),
        None => Err(Error::agent(
            Kind::NoShare,
            "there is no share set that is not in force yet",
        )),
    }
}

/// The same nodes as now, but for some: a lost share opens nothing any more once
/// the set that replaces it is in force.
fn replace(context: &Context, args: &DistributeArgs) -> Result<()> {
    require_unlocked(context)?;
    let dealings = shares::dealings(context)?;
    let Some(active) = in_state(&dealings, SetState::Active) else {
        return Err(Error::agent(Kind::NoShare, "no shares are in force"));
    };
    let mut nodes = Vec::new();
    for share in &active.shares {
        match &share.holder {
            Some((HolderKind::Node, name)) => nodes.push(name.clone()),
            _ => break,
        }
    }
    if nodes.len() != usize::from(active.count) {
        return Err(Error::usage(
            "not every share of the set in force is on a node",
            "sv distribute --to NODE,... deals to others",
        ));
    }
    for (old, new) in &args.replace {
        let found = nodes.iter_mut().find(|node| *node == old);
        let Some(node) = found else {
            return Err(Error::usage(
                format!("no share is on {old}"),
                "sv shares tells which nodes hold one",
            ));
        };
        node.clone_from(new);
    }
    let to = DestinationArgs {
        nodes,
        ..DestinationArgs::default()
    };
    let deliver = choice::named(context, &to)?
        .ok_or_else(|| Error::agent(Kind::Internal, "nodes that are nowhere"))?;
    deal(
        context,
        deliver,
        &Plan {
            shares: Some(active.count),
            threshold: Some(active.threshold),
            partial: args.commit,
            to: &to,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(
        shares: Option<u8>,
        threshold: Option<u8>,
        holders: Option<usize>,
    ) -> Option<(u8, u8)> {
        let to = DestinationArgs::default();
        let plan = Plan {
            shares,
            threshold,
            partial: false,
            to: &to,
        };
        match size(&plan, holders) {
            Ok(size) => Some(size),
            Err(error) => {
                assert_eq!(error.code(), 2);
                None
            }
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(sized(None, None, None), Some((5, 3)));
        assert_eq!(sized(Some(2), None, None), Some((2, 2)));
        assert_eq!(sized(Some(255), Some(255), None), Some((255, 255)));
        assert_eq!(sized(Some(3), Some(4), None), None);
        assert_eq!(sized(None, Some(6), None), None);
        assert_eq!(sized(None, None, Some(4)), Some((4, 3)));
        assert_eq!(sized(Some(4), Some(2), Some(4)), Some((4, 2)));
        assert_eq!(sized(Some(5), None, Some(4)), None);
        assert_eq!(sized(None, None, Some(1)), None);
        assert_eq!(sized(None, None, Some(256)), None);
    }
}
