//! `sv collect`: brings shares back from the nodes that hold them, or has each
//! node prove that it still has its share.

use super::{
    recover,
    shares::{self, in_state},
    status, unexpected,
};
use crate::{
    cli::shares::CollectArgs,
    connect::Patience,
    context::Context,
    deliver::folder,
    error::{Error, Result},
    input::{Passwords, one_source},
    json::Object,
    output,
    table::Table,
    transport::{Node, Nodes, shares::Found},
};
use std::path::Path;
use sv_proto::{
    Kind, Request, Response, Secret,
    message::{Dealing, HolderKind, SetState, ShareInfo, State},
};
use sv_shares::{Parsed, Share};

const AGAIN: &str = "after a loss, sv distribute --replace NODE=NEW deals anew";

pub fn run(context: &Context, args: CollectArgs) -> Result<()> {
    check(&args)?;
    if args.verify {
        return verify(context, &args.nodes);
    }
    // Whatever is on a descriptor is read before the program is started that
    // must not inherit it; a person is asked only once it is of use.
    let mut passwords = Passwords::claim(&args.password, context.no_input)?;
    let mut fresh = || passwords.fresh("New password for the vault");
    let given = if has_password(&args) {
        Some(fresh()?)
    } else {
        None
    };
    let gathered = gather(context, &args.nodes)?;
    match &args.out {
        Some(folder) => gathered.write(context, folder),
        None => {
            let shares = gathered.enough()?;
            let password = match given {
                Some(password) => password,
                None => fresh()?,
            };
            recover::open(context, shares, password)
        }
    }
}

const fn has_password(args: &CollectArgs) -> bool {
    args.password.password_stdin || args.password.password_fd.is_some()
}

/// What goes with what.
fn check(args: &CollectArgs) -> Result<()> {
    one_source(&[
        ("--out", args.out.is_some()),
        ("--recover", args.recover),
        ("--verify", args.verify),
    ])?;
    if args.out.is_none() && !args.recover && !args.verify {
        return Err(Error::usage(
            "what the shares are for is missing",
            "--recover, --out DIR, or --verify to leave them where they are",
        ));
    }
    if has_password(args) && !args.recover {
        return Err(Error::usage(
            "a password is for --recover",
            "leave --password-fd and --password-stdin away",
        ));
    }
    Ok(())
}

/// What became of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is the one that was dealt.
    Whole,
    /// Something else is in its place.
    Changed,
    /// The node has none.
    Missing,
    /// The node does not answer.
    Away,
}

impl Fate {
    /// As a stable word.
    const fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Away => "unreachable",
        }
    }
}

/// What a node came up with.
struct Row {
    node: String,
    index: Option<u8>,
    fate: Fate,
    /// What else there is to say.
    message: String,
}

impl Row {
    fn new(node: &Node, index: Option<u8>, fate: Fate) -> Self {
        Self {
            node: node.to_string(),
            index,
            fate,
            message: String::new(),
        }
    }

    fn with(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    fn away(node: &Node, index: Option<u8>, error: &Error) -> Self {
        let text = error.to_string();
        let own = text.strip_prefix(&format!("{node}: ")).unwrap_or(&text);
        Self::new(node, index, Fate::Away).with(own)
    }

    fn cells(&self) -> Vec<String> {
        let terminal = output::is_terminal();
        let index = self.index.map_or_else(String::new, |i| i.to_string());
        let message = output::shown(&self.message, terminal).into_owned();
        vec![
            self.node.clone(),
            index,
            self.fate.word().to_owned(),
            message,
        ]
    }

    fn document(&self) -> Object {
        let mut object = Object::new();
        object.text("node", &self.node);
        object.number_or_null("index", self.index.map(u64::from));
        object.text("state", self.fate.word());
        let message = Some(&*self.message).filter(|m| !m.is_empty());
        object.text_or_null("message", message);
        object
    }
}

const EXPOSED: &str = "others can read it there";

fn remark(found: &Found) -> &'static str {
    if found.open { EXPOSED } else { "" }
}

/// What the agent says of a share: what it is, or that it is damaged
/// ([`Kind::BadShare`]) or of something else ([`Kind::WrongShare`]).
fn ask(context: &Context, text: &Secret) -> Result<std::result::Result<ShareInfo, Kind>> {
    let share = Secret::new(text.expose().to_vec());
    let request = Request::ShareCheck { share };
    match context.connect()?.call(request, Patience::Short) {
        Ok(Response::Share(info)) => Ok(Ok(info)),
        Ok(_) => Err(unexpected()),
        Err(error) => match error.told() {
            Some(kind @ (Kind::BadShare | Kind::WrongShare | Kind::Usage)) => Ok(Err(kind)),
            _ => Err(error),
        },
    }
}

/// Whether the text is a whole share of the set that its file is named after:
/// then it is none of ours, rather than a changed one.
fn of_its_own_set(vault: [u8; 16], found: &Found) -> bool {
    match Share::parse(found.text.expose()) {
        Ok(Parsed::Share(share)) => {
            let header = share.header();
            (header.vault, header.set, share.index()) == (vault, found.set, found.index)
        }
        _ => false,
    }
}

/// The nodes that the vault noted down, each with the number of its share.
fn holders(dealing: &Dealing) -> Result<Vec<(Node, u8)>> {
    let mut holders = Vec::new();
    for share in &dealing.shares {
        if let Some((HolderKind::Node, name)) = &share.holder {
            let node = name
                .parse()
                .map_err(|_| Error::Malformed("a node that can't be one"))?;
            holders.push((node, share.index));
        }
    }
    Ok(holders)
}

fn in_force(context: &Context) -> Result<Dealing> {
    let dealings = shares::dealings(context)?;
    in_state(&dealings, SetState::Active)
        .cloned()
        .ok_or_else(|| {
            Error::agent(Kind::NoShare, "no shares are in force").hinted("sv distribute")
        })
}

/// Which nodes are asked: those that were named, else those that hold a share.
fn chosen(named: &[Node], holders: &[(Node, u8)]) -> Result<Vec<Node>> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let mut nodes: Vec<Node> = Vec::new();
    for (node, _) in holders {
        if !nodes.contains(node) {
            nodes.push(node.clone());
        }
    }
    if nodes.is_empty() {
        return Err(Error::agent(Kind::NoShare, "no share is on a node")
            .hinted("sv shares tells where they are"));
    }
    Ok(nodes)
}

// ---- Proving -----------------------------------------------------------

fn verify(context: &Context, named: &[Node]) -> Result<()> {
    let dealing = in_force(context)?;
    let holders = holders(&dealing)?;
    if let Some(node) = named
        .iter()
        .find(|node| !holders.iter().any(|(h, _)| h == *node))
    {
        return Err(Error::usage(
            format!("no share is noted to be on {node}"),
            "sv shares tells where they are",
        ));
    }
    let nodes = context.nodes()?;
    let mut rows = Vec::new();
    for node in chosen(named, &holders)? {
        let indices = holders.iter().filter(|(h, _)| *h == node).map(|(_, i)| *i);
        let found = match nodes.fetch(&node, dealing.vault, Some(dealing.set)) {
            Ok(found) => found,
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                rows.extend(indices.map(|i| Row::away(&node, Some(i), &error)));
                continue;
            }
        };
        for index in indices {
            let row = match found.iter().find(|found| found.index == index) {
                None => Row::new(&node, Some(index), Fate::Missing),
                Some(found) => {
                    let fate = prove(context, &dealing, &node, found)?;
                    Row::new(&node, Some(index), fate).with(remark(found))
                }
            };
            rows.push(row);
        }
    }
    print(context, &dealing, &rows)?;
    judge(&rows)
}

/// Whether it is the share that this node got; then that is noted.
fn prove(context: &Context, dealing: &Dealing, node: &Node, found: &Found) -> Result<Fate> {
    match ask(context, &found.text)? {
        Ok(info) if (info.set, info.index) == (dealing.set, found.index) => {}
        _ => return Ok(Fate::Changed),
    }
    let request = Request::ShareVerified {
        share: Secret::new(found.text.expose().to_vec()),
        holder: Some(node.to_string()),
    };
    match context.connect()?.call(request, Patience::Short)? {
        Response::Dealing(_) => Ok(Fate::Whole),
        _ => Err(unexpected()),
    }
}

fn print(context: &Context, dealing: &Dealing, rows: &[Row]) -> Result<()> {
    if context.json {
        let mut object = Object::new();
        object.flag("ok", rows.iter().all(|row| row.fate == Fate::Whole));
        object.text("set", &data_encoding::HEXLOWER.encode(&dealing.set));
        object.objects("shares", rows.iter().map(Row::document));
        return output::stdout(&object.line());
    }
    let heading = ["NODE", "SHARE", "STATE", "REMARK"];
    let mut table = Table::new(&heading, output::is_terminal(), context.style());
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let text = table.rows(&cells, |i| rows[i].fate != Fate::Whole);
    output::stdout(text.as_bytes())
}

/// The worst of it: tampering before absence before loss.
fn judge(rows: &[Row]) -> Result<()> {
    let of = |fate| -> Vec<&str> {
        let rows = rows.iter().filter(|row| row.fate == fate);
        rows.map(|row| row.node.as_str()).collect()
    };
    let (changed, away, missing) = (of(Fate::Changed), of(Fate::Away), of(Fate::Missing));
    if !changed.is_empty() {
        let message = format!("not the share that was put there: {}", changed.join(", "));
        return Err(Error::agent(Kind::BadShare, &message)
            .hinted("find out who changed it; sv distribute deals anew, and makes it worthless"));
    }
    if !away.is_empty() {
        return Err(Error::Partial {
            message: format!("out of reach: {}", away.join(", ")),
            hint: format!("try again when they are up; {AGAIN}"),
        });
    }
    if !missing.is_empty() {
        let message = format!("the share is gone: {}", missing.join(", "));
        return Err(Error::agent(Kind::NoShare, &message).hinted(AGAIN));
    }
    Ok(())
}

// ---- Bringing back -----------------------------------------------------

/// Shares that came back, and what became of the others.
struct Gathered {
    shares: Vec<(ShareInfo, Secret)>,
    rows: Vec<Row>,
}

fn gather(context: &Context, named: &[Node]) -> Result<Gathered> {
    let state = status(&mut context.connect()?)?;
    let vault = state.vault_id.ok_or_else(|| context.no_vault())?;
    let holders = match state.state {
        State::Unlocked => holders(&in_force(context)?)?,
        _ if named.is_empty() => {
            return Err(Error::usage(
                "a locked vault does not tell which nodes hold its shares",
                "name them: sv collect NODE NODE ...",
            ));
        }
        _ => Vec::new(),
    };
    let asked = chosen(named, &holders)?;
    let nodes = context.nodes()?;
    let mut gathered = Gathered {
        shares: Vec::new(),
        rows: Vec::new(),
    };
    for node in &asked {
        if gathered.is_enough() {
            break;
        }
        gathered.add(context, &nodes, vault, node)?;
    }
    if !context.json {
        for row in gathered.rows.iter().filter(|row| row.fate != Fate::Whole) {
            let more = match &*row.message {
                "" => String::new(),
                more => format!(", {more}"),
            };
            let Row { node, fate, .. } = row;
            output::warn(&format!("warning: {node}: {}{more}", fate.word()));
        }
    }
    Ok(gathered)
}

impl Gathered {
    fn threshold(&self) -> Option<usize> {
        let (info, _) = self.shares.first()?;
        Some(usize::from(info.threshold))
    }

    fn is_enough(&self) -> bool {
        self.threshold().is_some_and(|t| self.shares.len() >= t)
    }

    /// Asks one node. A share that is whole counts, whatever its file is called.
    fn add(
        &mut self,
        context: &Context,
        nodes: &Nodes,
        vault: [u8; 16],
        node: &Node,
    ) -> Result<()> {
        let found = match nodes.fetch(node, vault, None) {
            Ok(found) => found,
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                self.rows.push(Row::away(node, None, &error));
                return Ok(());
            }
        };
        let before = self.rows.len();
        for found in found {
            match ask(context, &found.text)? {
                Ok(info) => {
                    let row = Row::new(node, Some(info.index), Fate::Whole).with(remark(&found));
                    self.rows.push(row);
                    if !self.shares.iter().any(|(i, _)| i.index == info.index) {
                        self.shares.push((info, found.text));
                    }
                }
                Err(Kind::WrongShare) if of_its_own_set(vault, &found) => {}
                Err(_) => {
                    let row = Row::new(node, Some(found.index), Fate::Changed);
                    self.rows.push(row.with(remark(&found)));
                }
            }
        }
        if self.rows.len() == before {
            let row = Row::new(node, None, Fate::Missing);
            self.rows
                .push(row.with("it has no share of the set in force"));
        }
        Ok(())
    }

    /// As many as are needed.
    fn enough(self) -> Result<Vec<Secret>> {
        match self.shortage() {
            None => Ok(self.shares.into_iter().map(|(_, text)| text).collect()),
            Some(error) => Err(error),
        }
    }

    /// What there is to say if they are too few.
    fn shortage(&self) -> Option<Error> {
        if self.is_enough() {
            return None;
        }
        let message = match self.threshold() {
            Some(needed) => format!("{} of {needed} shares came back", self.shares.len()),
            None => "no share came back".to_owned(),
        };
        let any = |fate| self.rows.iter().any(|row| row.fate == fate);
        let hint = "name more nodes, or collect the rest by hand: sv recover FILE...";
        Some(if any(Fate::Changed) {
            Error::agent(Kind::BadShare, &message).hinted(hint)
        } else if any(Fate::Away) {
            Error::Partial {
                message,
                hint: hint.to_owned(),
            }
        } else {
            Error::agent(Kind::NoShare, &message).hinted(hint)
        })
    }

    /// Puts each into a file. Too few are some of those that are needed, too.
    fn write(self, context: &Context, folder: &Path) -> Result<()> {
        let mut files = Vec::new();
        for (info, text) in &self.shares {
            let path = folder::keep(folder, info.index, info.count, text)?;
            files.push(path.display().to_string());
        }
        if context.json {
            let mut object = Object::new();
            object.flag("ok", self.is_enough());
            object.number_or_null("threshold", self.threshold().map(|t| t as u64));
            object.texts("files", &files);
            object.objects("shares", self.rows.iter().map(Row::document));
            output::stdout(&object.line())?;
        } else {
            let terminal = output::is_terminal();
            for file in &files {
                output::stdout(format!("{}\n", output::shown(file, terminal)).as_bytes())?;
            }
        }
        self.shortage().map_or(Ok(()), Err)
    }
}
