//! Which secrets hold the words of a query; `list` answers it.

use sv_vault_core::Filter;

pub(super) fn filter(query: &str) -> Filter {
    Filter::Search {
        words: query.split_whitespace().map(str::to_owned).collect(),
    }
}
