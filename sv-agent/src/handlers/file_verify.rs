//! Checks a file that a client put beside the vault, without any key.

use super::backup::{FILES, gone};
use crate::{errors, limits, reply::Reply, rotation, state::Agent};
use std::rc::Rc;
use sv_proto::{
    Kind, Response,
    message::{Failure, FileVerified},
};
use sv_vault_core::{Check, Error, FileReport};
use tokio::{
    sync::watch,
    task::{spawn_local, yield_now},
};

pub(super) async fn handle(
    agent: &Rc<Agent>,
    file: String,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    let turn = reply.waiting(FILES.lock()).await?;
    let check = Check::staged(&agent.vault, &file, false).map_err(|error| about(&error))?;
    let (told, progress) = watch::channel((0, 0));
    let work = spawn_local(async move {
        let _turn = turn;
        run(check, told).await
    });
    rotation::following(progress, reply).await;
    let check = work.await.map_err(|error| errors::internal(&error))??;
    Ok(Response::FileVerified(verified(check.report())))
}

/// Checks all of a file, unless nobody waits for it any more.
pub(super) async fn run(
    mut check: Check,
    told: watch::Sender<(u64, u64)>,
) -> Result<Check, Failure> {
    while !check
        .step(limits::VERIFY_STEP)
        .map_err(|error| about(&error))?
    {
        if told.is_closed() {
            return Err(gone());
        }
        told.send_replace(check.progress());
        yield_now().await;
    }
    Ok(check)
}

/// What went wrong with a file that is not the vault.
pub(super) fn about(error: &Error) -> Failure {
    match error {
        Error::Damaged(what) => Failure::new(
            Kind::Damaged,
            format!("the file is damaged, or no backup: {what}"),
        ),
        Error::NoVault(_) => Failure::new(Kind::NoVault, "there is no such file beside the vault"),
        other => errors::failure(other),
    }
}

fn verified(report: &FileReport) -> FileVerified {
    FileVerified {
        vault: report.vault,
        generation: report.generation,
        epoch: report.epoch,
        secrets: report.secrets,
        revisions: report.revisions,
        slots: report.slots,
        shares: report.shares,
        problems: report.problems.clone(),
    }
}
