//! Gate 3, second half: the sizes of whatever a request carries.

use sv_proto::{
    Kind, Request, Secret, limits as protocol,
    message::{Failure, Key, KeyKind},
    name,
};

/// Gate 3, second half. Whatever is kept while a request waits is small from
/// here on, and names are names.
pub(super) fn check(request: &Request) -> Result<(), Failure> {
    let usage = |message: &str| Err(Failure::new(Kind::Usage, message));
    let password = |secret: &Secret| {
        if (1..=protocol::PASSWORD).contains(&secret.len()) {
            Ok(())
        } else {
            usage("a password has 1 to 4096 bytes")
        }
    };
    let name = |name: &str| {
        name::check(name).map_err(|error| Failure::new(Kind::Usage, error.to_string()))
    };
    match request {
        Request::Init { password: p } => password(p),
        // Empty, it asks whether a password is needed.
        Request::Unlock { password: p, .. } if p.is_empty() => Ok(()),
        Request::Unlock { password: p, .. } => password(p),
        Request::Passwd { old, new } => password(old).and_then(|()| password(new)),
        Request::Add { name: n, value, .. } => {
            name(n)?;
            value_size(value)
        }
        Request::Update { name: n, value, .. } => {
            name(n)?;
            value.as_ref().map_or(Ok(()), value_size)
        }
        Request::Get { name: n, .. }
        | Request::Show { name: n, .. }
        | Request::Delete { name: n, .. }
        | Request::History { name: n }
        | Request::Revert { name: n, .. } => name(n),
        Request::Rename { old, new } => name(old).and_then(|()| name(new)),
        Request::List {
            prefix,
            category,
            tags,
            ..
        } => {
            if prefix.len() > protocol::NAME {
                return usage("a prefix has at most 1024 bytes");
            }
            if category
                .as_ref()
                .is_some_and(|c| c.len() > protocol::CATEGORY)
            {
                return usage("a category has at most 64 bytes");
            }
            if tags.len() > protocol::TAGS || tags.iter().any(|t| t.len() > protocol::TAG) {
                return usage("at most 32 tags, each of at most 64 bytes");
            }
            Ok(())
        }
        Request::Search { query, .. } => {
            if query.len() > protocol::QUERY {
                return usage("a query has at most 1024 bytes");
            }
            if query.trim().is_empty() {
                return usage("a query can't be empty");
            }
            Ok(())
        }
        // Empty, it asks whether a key is needed.
        Request::UnlockWith { key, .. } if key.secret.is_empty() => Ok(()),
        Request::UnlockWith { key: k, .. } => key(k),
        Request::SlotAdd {
            present,
            new,
            label,
        } => {
            key(present)?;
            key(new)?;
            text(label, protocol::LABEL, "a label has at most 64 bytes")
        }
        Request::Rotate { passwords: None } => Ok(()),
        Request::Rotate {
            passwords: Some((old, new)),
        } => password(old).and_then(|()| password(new)),
        Request::Deal { count, threshold } => {
            if *threshold < 2 || threshold > count {
                return usage("a threshold is 2 to the number of shares, which is at most 255");
            }
            Ok(())
        }
        Request::ShareDelivered { holder, .. } => holder_text(holder),
        Request::ShareVerified { share: s, holder } => {
            share(s)?;
            holder.as_deref().map_or(Ok(()), holder_text)
        }
        Request::ShareCheck { share: s } | Request::CeremonySubmit { share: s } => share(s),
        Request::Recover {
            shares,
            password: p,
        } => {
            all_shares(shares)?;
            password(p)
        }
        Request::RecoverDrill { shares } => all_shares(shares),
        Request::CeremonyStart { seconds } => {
            if !(1..=protocol::CEREMONY).contains(seconds) {
                return usage("a ceremony lasts 1s to 1d");
            }
            Ok(())
        }
        Request::Audit { name: n, .. } => n.as_deref().map_or(Ok(()), name),
        Request::BackupDone { place, .. } => holder_text(place),
        Request::FileVerify { file } => staged(file),
        Request::Restore {
            file,
            key: k,
            shares,
        } => {
            staged(file)?;
            k.as_ref().map_or(Ok(()), key)?;
            all_shares(shares)
        }
        Request::Status
        | Request::Lock
        | Request::Verify
        | Request::Stop
        | Request::Health
        | Request::Slots
        | Request::SlotRemove { .. }
        | Request::Dealings
        | Request::Share { .. }
        | Request::DealCommit { .. }
        | Request::DealCancel { .. }
        | Request::CeremonyStatus
        | Request::CeremonyCancel
        | Request::AuditVerify
        | Request::Backup { .. } => Ok(()),
    }
}

fn text(text: &str, most: usize, message: &str) -> Result<(), Failure> {
    if text.len() > most || text.chars().any(char::is_control) {
        return Err(Failure::new(Kind::Usage, message));
    }
    Ok(())
}

fn holder_text(holder: &str) -> Result<(), Failure> {
    text(
        holder,
        protocol::HOLDER,
        "a holder's name has at most 255 bytes and no control characters",
    )
}

fn share(share: &Secret) -> Result<(), Failure> {
    if !(1..=protocol::SHARE).contains(&share.len()) {
        return Err(Failure::new(Kind::BadShare, "a share has 1 to 1024 bytes"));
    }
    Ok(())
}

fn all_shares(shares: &[Secret]) -> Result<(), Failure> {
    if shares.len() > protocol::SHARES {
        return Err(Failure::new(Kind::Usage, "there are at most 255 shares"));
    }
    shares.iter().try_for_each(share)
}

fn key(key: &Key) -> Result<(), Failure> {
    let (sizes, message) = match key.kind {
        KeyKind::Password => (1..=protocol::PASSWORD, "a password has 1 to 4096 bytes"),
        KeyKind::KeyFile | KeyKind::Credential => {
            (protocol::KEY_FILE, "a key file has 32 to 4096 bytes")
        }
    };
    if sizes.contains(&key.secret.len()) {
        return Ok(());
    }
    Err(Failure::new(Kind::Usage, message))
}

/// The name of a file that a client put beside the vault: it can't lead anywhere else.
fn staged(file: &str) -> Result<(), Failure> {
    let ok = file.len() <= protocol::HOLDER && !file.is_empty() && !file.contains(['/', '\0']);
    if ok {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Usage,
        "a file beside the vault is named without its folder",
    ))
}

fn value_size(value: &Secret) -> Result<(), Failure> {
    if value.len() > protocol::VALUE {
        return Err(Failure::new(Kind::Usage, "a value has at most 1 MiB"));
    }
    Ok(())
}
