//! `sv search`: names, tags, categories and notes that hold all words.

use super::list;
use crate::{
    context::Context,
    error::{Error, Result},
};
use sv_proto::{Request, limits};

pub fn run(context: &Context, words: &[String], long: bool) -> Result<()> {
    let query = words.join(" ");
    if query.trim().is_empty() {
        return Err(Error::usage("there is nothing to search for", "sv list"));
    }
    if query.len() > limits::QUERY {
        return Err(Error::usage(
            format!("a query has at most {} bytes", limits::QUERY),
            "shorten it",
        ));
    }
    let request = Request::Search {
        query,
        fields: long || context.json,
    };
    list::stream(context, request, long)
}
