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
