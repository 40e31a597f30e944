//! One file for each request. A handler gets the unlocked vault (or, where it
//! decides about it, the agent) and the request's fields, and returns the
//! response. None of them touches the socket.

use crate::{convert, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{Request, Response, message::Failure};

mod add;
mod audit;
mod audit_verify;
mod backup;
mod backup_done;
mod ceremony;
mod deal;
mod deal_cancel;
mod deal_commit;
mod dealings;
mod delete;
mod file_verify;
mod get;
mod health;
mod history;
mod init;
mod list;
mod lock;
mod passwd;
mod recover;
mod recover_drill;
mod rename;
mod restore;
mod revert;
mod rotate;
mod search;
mod share;
mod share_check;
mod share_delivered;
mod share_verified;
mod show;
mod slot_add;
mod slot_remove;
mod slots;
mod status;
mod stop;
mod unlock;
mod update;
mod verify;

/// Gate 7.
pub(crate) async fn dispatch(
    agent: &Rc<Agent>,
    request: Request,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    let now = agent.clock.wall();
    match request {
        Request::Status => status::handle(agent),
        Request::Init { password } => init::handle(agent, password, reply).await,
        Request::Unlock { password, seconds } => {
            unlock::handle(agent, password, seconds, reply).await
        }
        Request::Lock => Ok(lock::handle(agent)),
        Request::Add {
            name,
            value,
            fields,
        } => {
            let fields = convert::fields(fields);
            agent.with(|vault| add::handle(vault, &name, &value, &fields, now))
        }
        Request::Get { name, rev } => {
            let size = || agent.with(|vault| show::size(vault, &name, rev));
            let get = || agent.with(|vault| get::handle(vault, &name, rev));
            reply.sized(size, get).await
        }
        Request::Show { name, rev, reveal } => {
            let size = || agent.with(|vault| show::size(vault, &name, rev));
            let show = || agent.with(|vault| show::handle(vault, &name, rev, reveal));
            reply.sized(size, show).await
        }
        Request::List {
            prefix,
            category,
            tags,
            fields,
        } => list::handle(agent, list::filter(prefix, category, tags), fields, reply).await,
        Request::Search { query, fields } => {
            list::handle(agent, search::filter(&query), fields, reply).await
        }
        Request::Update {
            name,
            value,
            change,
            if_rev,
        } => {
            let change = convert::change(change);
            agent.with(|vault| update::handle(vault, &name, value.as_ref(), &change, if_rev, now))
        }
        Request::Delete { name, purge } => {
            agent.with(|vault| delete::handle(vault, &name, purge, now))
        }
        Request::Rename { old, new } => agent.with(|vault| rename::handle(vault, &old, &new, now)),
        Request::History { name } => agent.with(|vault| history::handle(vault, &name)),
        Request::Revert { name, rev } => agent.with(|vault| revert::handle(vault, &name, rev, now)),
        Request::Passwd { old, new } => passwd::handle(agent, old, new, reply).await,
        Request::Verify => verify::handle(agent, reply).await,
        Request::Stop => Ok(stop::handle(agent)),
        Request::UnlockWith {
            key,
            seconds,
            accept_rollback,
        } => unlock::handle_with(agent, key, seconds, accept_rollback, reply).await,
        Request::Health => health::handle(agent),
        Request::Slots => slots::handle(agent),
        Request::SlotAdd {
            present,
            new,
            label,
        } => slot_add::handle(agent, present, new, label, reply).await,
        Request::SlotRemove { slot } => slot_remove::handle(agent, &slot),
        Request::Rotate { passwords } => rotate::handle(agent, passwords, reply).await,
        Request::Deal { count, threshold } => deal::handle(agent, count, threshold, now),
        Request::Dealings => dealings::handle(agent),
        Request::Share { set, index } => share::handle(agent, &set, index),
        Request::ShareDelivered {
            set,
            index,
            kind,
            holder,
        } => share_delivered::handle(agent, &set, index, kind, holder, now),
        Request::ShareVerified { share, holder } => {
            share_verified::handle(agent, &share, holder.as_deref(), now)
        }
        Request::DealCommit { set, partial } => {
            deal_commit::handle(agent, &set, partial, reply).await
        }
        Request::DealCancel { set } => deal_cancel::handle(agent, &set),
        Request::ShareCheck { share } => share_check::handle(agent, &share),
        Request::Recover { shares, password } => {
            recover::handle(agent, shares, password, reply).await
        }
        Request::RecoverDrill { shares } => recover_drill::handle(agent, &shares, now),
        Request::CeremonyStart { seconds } => ceremony::start(agent, seconds),
        Request::CeremonySubmit { share } => ceremony::submit(agent, &share),
        Request::CeremonyStatus => ceremony::status(agent),
        Request::CeremonyCancel => ceremony::cancel(agent),
        Request::Audit {
            after,
            last,
            since,
            name,
        } => audit::handle(agent, after, last, since, name, reply).await,
        Request::AuditVerify => audit_verify::handle(agent, reply).await,
        Request::Backup { slots } => backup::handle(agent, slots, reply).await,
        Request::BackupDone { generation, place } => {
            backup_done::handle(agent, generation, &place, now)
        }
        Request::FileVerify { file } => file_verify::handle(agent, file, reply).await,
        Request::Restore { file, key, shares } => {
            restore::handle(agent, file, key, shares, reply).await
        }
    }
}
