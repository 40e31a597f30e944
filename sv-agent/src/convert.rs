//! Between the engine's types and the protocol's: neither knows the other.

use sv_proto::message as wire;
use sv_vault_core as core;

pub(crate) fn fields(fields: wire::Fields) -> core::Fields {
    core::Fields {
        category: fields.category,
        tags: fields.tags,
        note: fields.note,
        expires: fields.expires,
    }
}

pub(crate) fn change(change: wire::Change) -> core::Change {
    core::Change {
        category: change.category,
        tags: change.tags,
        note: change.note,
        expires: change.expires,
    }
}

pub(crate) fn item(item: core::Item) -> wire::Item {
    wire::Item {
        name: item.name,
        rev: item.rev,
        created: item.created,
        updated: item.updated,
        size: item.size,
        fields: wire::Fields {
            category: item.fields.category,
            tags: item.fields.tags,
            note: item.fields.note,
            expires: item.fields.expires,
        },
    }
}

pub(crate) fn revision(revision: core::RevisionInfo) -> wire::Revision {
    wire::Revision {
        rev: revision.rev,
        time: revision.time,
        deleted: revision.deleted,
        head: revision.head,
        name: revision.name,
        size: revision.size,
        id: revision.id,
        author: revision.author,
    }
}

pub(crate) const fn key_kind(kind: wire::KeyKind) -> core::SlotKind {
    match kind {
        wire::KeyKind::Password => core::SlotKind::Password,
        wire::KeyKind::KeyFile => core::SlotKind::KeyFile,
        wire::KeyKind::Credential => core::SlotKind::Credential,
    }
}

pub(crate) fn slot(slot: core::SlotInfo) -> wire::Slot {
    wire::Slot {
        id: slot.id,
        kind: match slot.kind {
            core::SlotKind::Password => wire::KeyKind::Password,
            core::SlotKind::KeyFile => wire::KeyKind::KeyFile,
            core::SlotKind::Credential => wire::KeyKind::Credential,
        },
        label: slot.label,
    }
}

pub(crate) const fn share(facts: core::ShareFacts) -> wire::ShareInfo {
    wire::ShareInfo {
        vault: facts.vault,
        set: facts.set,
        index: facts.index,
        threshold: facts.threshold,
        count: facts.count,
    }
}

/// The engine keeps the kind of a holder as a number, FORMAT.md §4.
pub(crate) const fn holder_number(kind: wire::HolderKind) -> u8 {
    match kind {
        wire::HolderKind::File => 1,
        wire::HolderKind::Recipient => 2,
        wire::HolderKind::Paper => 3,
        wire::HolderKind::Node => 4,
        wire::HolderKind::Shown => 5,
    }
}

const fn holder_kind(number: u8) -> wire::HolderKind {
    match number {
        1 => wire::HolderKind::File,
        2 => wire::HolderKind::Recipient,
        3 => wire::HolderKind::Paper,
        4 => wire::HolderKind::Node,
        _ => wire::HolderKind::Shown,
    }
}

pub(crate) fn dealing(vault: [u8; 16], set: core::SetInfo) -> wire::Dealing {
    let time = |time| (time != 0).then_some(time);
    let share = |(index, part): (u8, core::PartInfo)| wire::ShareState {
        index,
        holder: part.holder.map(|(kind, label)| (holder_kind(kind), label)),
        delivered: time(part.delivered),
        verified: time(part.verified),
    };
    wire::Dealing {
        vault,
        set: set.set,
        state: match set.active {
            true => wire::SetState::Active,
            false => wire::SetState::Pending,
        },
        threshold: set.threshold,
        epoch: set.epoch,
        dealt: set.dealt,
        digest: set.digest,
        shares: (1..=u8::MAX).zip(set.shares).map(share).collect(),
        count: set.count,
    }
}

pub(crate) fn event(event: core::AuditEvent) -> wire::Event {
    let kind = |word: &str| {
        sv_proto::Kind::ALL
            .iter()
            .find(|kind| kind.as_str() == word)
    };
    wire::Event {
        seq: event.seq,
        time: event.time,
        action: event.action,
        name: event.name,
        outcome: match event.outcome.as_str() {
            "ok" => wire::Outcome::Ok,
            // A word of a later version is a failure all the same.
            word => wire::Outcome::Failed(*kind(word).unwrap_or(&sv_proto::Kind::Internal)),
        },
        asker: wire::Asker {
            uid: event.asker.uid,
            pid: event.asker.pid,
            started: event.asker.started,
            unit: event.asker.unit,
            comm: event.asker.comm,
        },
        unauthenticated: event.unauthenticated,
    }
}
