//! What is told of which request.

use std::fmt::Write;
use sv_proto::Request;

/// What will be told of a request.
pub(crate) struct What {
    pub(super) action: &'static str,
    pub(super) name: String,
    pub(super) when: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// When it is done.
    Done,
    /// Before the first of several frames, or when it is done.
    Begun,
    /// In its transaction, or when it is done.
    Written,
    /// By [`super::lock`], if there was something to lock.
    Locked,
}

/// What will be told of `request`; nothing if it uses no secret and no key.
pub(crate) fn of(request: &Request) -> Option<What> {
    use When::{Begun, Done, Locked, Written};
    let action = request.label();
    let (when, name) = match request {
        Request::Status
        | Request::Health
        | Request::CeremonyStatus
        | Request::FileVerify { .. }
        | Request::Audit { after: Some(_), .. } => return None,
        // These ask whether a key is needed.
        Request::Unlock { password, .. } if password.is_empty() => return None,
        Request::UnlockWith { key, .. } if key.secret.is_empty() => return None,
        Request::Lock => (Locked, String::new()),
        Request::Stop => {
            return Some(What {
                action: "lock",
                name: "stop".to_owned(),
                when: Locked,
            });
        }
        Request::Show {
            name, reveal: true, ..
        } => {
            return Some(What {
                action: "reveal",
                name: name.clone(),
                when: Done,
            });
        }
        Request::Get { name, .. } | Request::Show { name, .. } | Request::History { name } => {
            (Done, name.clone())
        }
        Request::Delete { name, purge: true } => {
            return Some(What {
                action: "purge",
                name: name.clone(),
                when: Written,
            });
        }
        Request::Add { name, .. }
        | Request::Update { name, .. }
        | Request::Delete { name, .. }
        | Request::Revert { name, .. } => (Written, name.clone()),
        Request::Rename { old, new } => (Written, format!("{old}\0{new}")),
        Request::List { prefix, .. } => (Begun, prefix.clone()),
        Request::Search { query, .. } => (Begun, query.clone()),
        Request::Audit { name, .. } => (Begun, name.clone().unwrap_or_default()),
        Request::Verify | Request::AuditVerify | Request::Backup { .. } => (Begun, String::new()),
        Request::Share { set, index } => (Done, share(set, *index)),
        Request::ShareDelivered {
            set, index, holder, ..
        } => (Written, format!("{} {holder}", share(set, *index))),
        Request::ShareVerified { holder, .. } => (Written, holder.clone().unwrap_or_default()),
        Request::Deal { count, threshold } => (Written, format!("{threshold} of {count}")),
        Request::DealCommit { set, .. } | Request::DealCancel { set } => (Written, hex(set)),
        Request::SlotAdd { label, .. } => (Written, label.clone()),
        Request::SlotRemove { slot } => (Written, hex(slot)),
        Request::BackupDone { place, .. } => (Written, place.clone()),
        Request::Passwd { .. } | Request::Rotate { .. } | Request::Restore { .. } => {
            (Written, String::new())
        }
        Request::Init { .. } | Request::Recover { .. } => (Written, String::new()),
        Request::Unlock { .. }
        | Request::UnlockWith { .. }
        | Request::Slots
        | Request::Dealings
        | Request::ShareCheck { .. }
        | Request::RecoverDrill { .. }
        | Request::CeremonyStart { .. }
        | Request::CeremonySubmit { .. }
        | Request::CeremonyCancel => (Done, String::new()),
    };
    Some(What { action, name, when })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn share(set: &[u8; 16], index: u8) -> String {
    format!("{}/{index}", hex(set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told() {
        let told = |request: &Request| of(request).map(|what| (what.action, what.name));
        assert_eq!(told(&Request::Status), None);
        assert_eq!(told(&Request::Health), None);
        let audit = |after| Request::Audit {
            after,
            last: None,
            since: None,
            name: None,
        };
        assert_eq!(told(&audit(None)), Some(("audit", String::new())));
        assert_eq!(told(&audit(Some(0))), None);
        let show = |reveal| Request::Show {
            name: "a".to_owned(),
            rev: None,
            reveal,
        };
        assert_eq!(told(&show(false)), Some(("show", "a".to_owned())));
        assert_eq!(told(&show(true)), Some(("reveal", "a".to_owned())));
        let rename = Request::Rename {
            old: "a".to_owned(),
            new: "b".to_owned(),
        };
        assert_eq!(told(&rename), Some(("rename", "a\0b".to_owned())));
        let unlock = |password: &[u8]| Request::Unlock {
            password: sv_proto::Secret::new(password.to_vec()),
            seconds: None,
        };
        assert_eq!(told(&unlock(b"")), None);
        assert_eq!(told(&unlock(b"x")), Some(("unlock", String::new())));
    }
}
